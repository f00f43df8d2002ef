;;; glm-gptel-auth-zh.el --- What Emacs says, in Chinese  -*- lexical-binding: t; -*-

;; Copyright (C) 2026 The glm-token developers

;; Author: The glm-token developers
;; Maintainer: The glm-token developers
;; Keywords: comm, tools
;; SPDX-License-Identifier: GPL-3.0-or-later

;; This file is part of glm-gptel-auth; see glm-gptel-auth.el for its
;; licence, the GNU General Public License.

;;; Commentary:

;; The Chinese of every text that Emacs shows by itself.  English stands
;; where it is used, in `glm-gptel-auth--text'.

;;; Code:

(defconst glm-gptel-auth--zh
  '(;; How texts are put together
    ("GLM: %s" . "GLM：%s")
    ("%s; %s" . "%s；%s")
    ("%s. " . "%s。")
    ("%s: %s" . "%s：%s")
    ("%s (default %s): " . "%s（默认 %s）：")
    ("%s (profile %s)" . "%s（profile %s）")
    ("run M-x %s" . "请运行 M-x %s")
    ("run M-x %s, which offers an encrypted file"
     . "请运行 M-x %s，它会询问是否改用加密文件")

    ;; Finding glm-token
    ("set `glm-gptel-auth-command' as glm-token setup prints it"
     . "请按 glm-token setup 的输出设置 glm-gptel-auth-command")
    ("%s needs Node %s or later, and %s is version %s"
     . "%s 需要 Node %s 或更高版本，而 %s 的版本是 %s")
    ("cannot find node, which runs glm-token"
     . "找不到运行 glm-token 所需的 node")
    ("cannot find %s" . "找不到 %s")
    ("check `glm-gptel-auth-command', or set it to nil to have glm-token \
searched for"
     . "请检查 glm-gptel-auth-command；设为 nil 则自动查找 glm-token")
    ("cannot find the program glm-token" . "找不到程序 glm-token")

    ;; Installing it
    ("glm-token is not on npm's registry yet" . "glm-token 还没有发布到 npm")
    ("run `npm install -g .' in a checkout of it, or `npm pack' there, and \
then C-u M-x glm-gptel-auth-install here"
     . "请在源码目录中运行 npm install -g .；或在那里运行 npm pack，再用 C-u \
M-x glm-gptel-auth-install 安装生成的文件")
    ("cannot find npm, which comes with Node" . "找不到 npm，它随 Node 一起安装")
    ("install Node, from your system's packages or nodejs.org"
     . "请安装 Node：用系统的包管理器，或从 nodejs.org 下载")
    ("File that `npm pack' made: " . "由 npm pack 生成的文件：")
    ("Install %s with npm into %s? " . "是否用 npm 把 %s 安装到 %s？")
    ("installed glm-token; M-x glm-gptel-auth-setup goes on from here"
     . "已安装 glm-token；接下来请运行 M-x glm-gptel-auth-setup")
    ("installed glm-token, but another one takes precedence; see \
M-x glm-gptel-auth-status"
     . "已安装 glm-token，但优先使用的是另一个；见 M-x glm-gptel-auth-status")

    ;; Asking it
    ("start the helper (glm-token daemon --socket), or log in again with the \
ssh -R that forwards it"
     . "请启动后台进程（glm-token daemon --socket），或用转发它的 ssh -R 重新登录")
    ("the socket %s belongs to another user and is not trusted"
     . "套接字 %s 属于其他用户，不予信任")
    ("nothing answers at %s (%s)" . "%s 没有响应（%s）")
    ("cannot start glm-token: %s" . "无法启动 glm-token：%s")
    ("waiting for %s; answer it if it prompts you (C-g to give up)"
     . "正在等待 %s，如有提示请作答（按 C-g 放弃）")
    ("waiting for the keychain; unlock it if it prompts you (C-g to give up)"
     . "正在等待系统钥匙串，如有提示请解锁（按 C-g 放弃）")
    ("the helper did not answer in time" . "后台进程没有及时回答")
    ("the helper ended with status %s" . "后台进程已退出，退出码 %s")
    ("the helper ended with status %s (%s)" . "后台进程已退出，退出码 %s（%s）")
    ("%s was closed without an answer" . "%s 未作应答就关闭了连接")
    ("glm-token ended with status %s" . "glm-token 已退出，退出码 %s")
    ("glm-token gave no token" . "glm-token 没有给出令牌")
    ("GLM %s (%s): %s: %s" . "GLM %s（%s）：%s：%s")

    ;; The passphrase
    ("Passphrase of the GLM encrypted file: " . "GLM 加密文件的口令：")
    ("New passphrase for the GLM encrypted file: "
     . "GLM 加密文件的新口令：")
    ("Repeat passphrase: " . "再次输入口令：")
    ("The passphrases do not match. " . "两次输入的口令不一致。")
    ("Wrong passphrase. " . "口令错误。")
    ("no encrypted file is locked now" . "目前没有锁定的加密文件")
    ("helper locked; the system keychain is locked separately"
     . "后台进程已锁定；系统钥匙串另行上锁")

    ;; The backend
    (":host is a string such as \"api.z.ai\", without https:// and path"
     . ":host 应是 \"api.z.ai\" 这样的字符串，不带 https:// 和路径")
    ("gptel is not installed; run M-x package-install RET gptel"
     . "尚未安装 gptel；请运行 M-x package-install RET gptel")

    ;; Keys
    ("Host (default %s): " . "主机（默认 %s）：")
    ("Profile (default %s): " . "key 的 profile（默认 %s）：")
    ("the default host" . "默认主机")
    ("API key (ID.SECRET) for %s: " . "%s 的 API key（ID.SECRET）：")
    ("Keep keys in an encrypted file instead? " . "是否改为保存到加密文件？")
    ("A different key (%s) is stored for %s; replace it? "
     . "%2$s 已有另一个 key（%1$s），是否替换？")
    ("not well-formed" . "格式不正确")
    ("Does a command print the key, as of a password manager? "
     . "key 是否由命令输出（例如密码管理器的命令）？")
    ("Command that prints the key: " . "输出 key 的命令：")
    ("stored the key for %s in %s" . "已把 %s 的 key 保存到%s")
    ("the key for %s comes from %s from now on" . "%s 的 key 今后由 %s 提供")
    ("Go on with %s? " . "仍然使用 %s？")
    ("nothing was stored" . "没有保存任何内容")
    ("kept the key for %s" . "保留了 %s 原有的 key")
    ("Delete the key stored for %s? " . "是否删除 %s 的 key？")
    ("deleted the key for %s" . "已删除 %s 的 key")
    ("no key is stored for %s" . "没有保存 %s 的 key")

    ;; The helper, and what there is
    ("the helper answers again (glm-token %s, process %s)"
     . "后台进程已重新就绪（glm-token %s，进程 %s）")
    ("GLM token status" . "GLM 令牌状态")
    ("Tokens" . "令牌")
    ("from the helper at %s" . "由 %s 处的后台进程签发")
    ("from a process for each of them" . "每个令牌启动一个进程")
    ("from a helper that stays" . "由后台进程签发")
    ("Helper" . "后台进程")
    ("process %d, glm-token %s, %d tokens" . "进程 %d，glm-token %s，签发令牌 %d 个")
    ("Store" . "存储位置")
    ("%s, locked" . "%s，已锁定")
    ("%s, unlocked" . "%s，已解锁")
    ("%s, not created yet" . "%s，尚未创建")
    ("%s, not available now" . "%s，目前不可用")
    ("%s; GLM_API_KEY is set and takes precedence"
     . "%s；已设置 GLM_API_KEY，将优先使用它")
    ("unknown" . "未知")
    ("Accounts" . "账户")
    ("%s: %s (%s)" . "%s：%s（%s）")
    ("locked" . "已锁定")
    ("not an API key" . "不是 API key")
    ("none" . "无")
    ("Program" . "程序")
    ("Versions" . "版本")
    ("glm-gptel-auth %s, Emacs %s" . "glm-gptel-auth %s，Emacs %s")

    ;; auth-source
    ("auth-source gives out GLM tokens in this session"
     . "本次会话中，auth-source 会提供 GLM 令牌")
    ("auth-source no longer gives out GLM tokens"
     . "auth-source 不再提供 GLM 令牌")

    ;; The first run
    ("Get the API key at %s" . "在这个网页获取 API key：%s")
    ("in use for this session; M-x gptel starts a chat"
     . "已在本次会话中启用；M-x gptel 开始对话")
    ("nothing inserted: lines about glm-gptel-auth are here already; replace \
them with the new ones, which are copied"
     . "没有插入：这里已有 glm-gptel-auth 的配置；新的配置已复制，请用它替换")
    ("inserted; save the buffer to keep it" . "已插入；请记得保存缓冲区")
    ("copied" . "已复制")
    ("GLM setup" . "GLM 设置")
    ("Key for" . "账户")
    ("Check" . "验证")
    ("whether the service accepts the key was not checked"
     . "未验证服务是否接受这个 key")
    ("To have this in every session, put these lines into your init.el (i \
inserts them, w copies them):"
     . "如需在每次启动时生效，请把以下几行写入 init.el（按 i 插入，按 w 复制）：")

    ;; The doctor
    ("checking ..." . "正在检查……")
    ("GLM token doctor; problems found: %d" . "GLM 令牌检查：发现 %d 个问题")
    ("ok" . "正常")
    ("warning" . "警告")
    ("failure" . "失败")
    ("unchecked" . "未检查")
    ("gptel is not installed" . "尚未安装 gptel")
    ("run M-x package-install RET gptel; for other packages, \
M-x glm-gptel-auth-source-enable"
     . "请运行 M-x package-install RET gptel；其他包请用 \
M-x glm-gptel-auth-source-enable")
    ("this gptel shows the token in the process list"
     . "这个版本的 gptel 会在进程列表中暴露令牌")
    ("update gptel to 0.9.9.5 or later"
     . "请把 gptel 更新到 0.9.9.5 或更高版本")
    ("version %s" . "版本 %s")
    ("gptel's requests go through %s (`%s'); the checks of host and clock go \
by the environment"
     . "gptel 的请求经由代理 %s（%s）；检查主机和时钟时，代理按环境变量选择")
    ("line %d of %s" . " %2$s 的第 %1$d 行")
    ("the entry in `%s'" . " %s 中的条目")
    ("a key for %s is in %s" . "在%2$s找到 %1$s 的 key")
    ("store it with C-u M-x glm-gptel-auth-store, and then remove %s"
     . "请用 C-u M-x glm-gptel-auth-store 保存它，然后删除%s")
    ("whether a key is in `%s', which GnuPG cannot open"
     . "%s 中是否有 key：GnuPG 无法解密它")
    ("its key may be in auth-source, which GnuPG cannot open"
     . "key 可能在 auth-source 中，但 GnuPG 无法解密它")
    ("glm-token is not in `auth-sources', which was set after \
M-x glm-gptel-auth-source-enable"
     . "auth-sources 中没有 glm-token：运行 M-x glm-gptel-auth-source-enable \
之后，auth-sources 又被重新设置")
    ("in init.el, enable it after the line that sets `auth-sources'"
     . "在 init.el 中，请在设置 auth-sources 之后再启用")
    ("sends a token for %s" . "发送 %s 的令牌")
    ("sends no key" . "没有发送 key")
    ("its key comes from the function %s, which is not called here"
     . "key 来自函数 %s，检查时不会调用它")
    ("sends a token that is not from glm-token, but from %s"
     . "发送的令牌不是由 glm-token 签发的，而是来自%s")
    ("sends the API key itself, from %s" . "直接发送 API key，它来自%s")
    ("its definition" . " backend 的定义")
    ("the variable `%s'" . "变量 %s")
    ("store the key with M-x glm-gptel-auth-store, and make the backend with \
`glm-gptel-auth-make-backend'"
     . "请用 M-x glm-gptel-auth-store 保存 key，并用 \
glm-gptel-auth-make-backend 创建 backend")
    ("gptel has no backend for GLM" . "gptel 中没有 GLM 的 backend")
    ("glm-token is version %s, but glm-gptel-auth is %s"
     . "glm-token 的版本是 %s，而 glm-gptel-auth 是 %s")
    ("update both, then M-x glm-gptel-auth-restart"
     . "请更新两者，然后运行 M-x glm-gptel-auth-restart")
    ("backends, store, keys, hosts and clock: they need the helper"
     . "backend、存储位置、key、主机和时钟：需要后台进程才能检查")
    ("whether the service accepts a token" . "服务是否接受令牌")
    ("C-u M-x glm-gptel-auth-doctor sends a minimal chat request (max_tokens=1)"
     . "C-u M-x glm-gptel-auth-doctor 会发送一个极小的对话请求（max_tokens=1）"))
  "Chinese formats by the English ones, an alist.
They may take their arguments in another order.")

(provide 'glm-gptel-auth-zh)
;;; glm-gptel-auth-zh.el ends here
