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
    ("%s: %s" . "%s：%s")
    ("run M-x %s" . "请运行 M-x %s")

    ;; auth-source
    ("auth-source gives out GLM tokens in this session"
     . "本次会话中，auth-source 会提供 GLM 令牌")
    ("auth-source no longer gives out GLM tokens"
     . "auth-source 不再提供 GLM 令牌")

    ;; The first run
    ("%s (default %s): " . "%s（默认 %s）：")
    ("Get the API key at %s" . "在这个网页获取 API key：%s")
    ("run M-x package-install RET gptel" . "请运行 M-x package-install RET gptel")
    ("in use for this session; M-x gptel starts a chat"
     . "已在本次会话中启用；M-x gptel 开始对话")
    ("this Emacs has no init file" . "这个 Emacs 没有 init 文件")
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
    ("To have this in every session, put these lines into your init.el:"
     . "如需在每次启动时生效，请把以下几行写入 init.el：")
    ("Insert them" . "插入")
    ("Copy them" . "复制")

    ;; The doctor
    ("checking ..." . "正在检查……")
    ("GLM token doctor: %s" . "GLM 令牌检查：%s")
    ("no problems in the %d checks made" . "检查了 %d 项，没有问题")
    ("%d problem" . "%d 个问题")
    ("%d problems" . "%d 个问题")
    ("ok" . "正常")
    ("warning" . "警告")
    ("failure" . "失败")
    ("unchecked" . "未检查")
    ("%s (set by `glm-gptel-auth-command')"
     . "%s（由 glm-gptel-auth-command 指定）")
    ("%s (found automatically)" . "%s（自动找到）")
    ("gptel is not installed" . "尚未安装 gptel")
    ("run M-x package-install RET gptel; for other packages, \
M-x glm-gptel-auth-source-enable"
     . "请运行 M-x package-install RET gptel；其他包请用 \
M-x glm-gptel-auth-source-enable")
    ("gptel is installed; its version is unknown" . "已安装 gptel，版本未知")
    ("gptel %s shows the token in the process list"
     . "gptel %s 会在进程列表中暴露令牌")
    ("update gptel to %s or later" . "请把 gptel 更新到 %s 或更高版本")
    ("version %s" . "版本 %s")
    ("gptel logs no tokens" . "gptel 不记录令牌")
    ("`gptel-log-level' is debug, so gptel writes tokens to a buffer"
     . "gptel-log-level 为 debug，gptel 会把令牌写入缓冲区")
    ("set it to nil or info" . "请把它设为 nil 或 info")
    ("gptel's requests go through %s (`%s'); the checks of host and clock go \
by the environment"
     . "gptel 的请求经由代理 %s（%s）；检查主机和时钟时，代理按环境变量选择")
    ("line %d of %s" . " %2$s 的第 %1$d 行")
    ("the entry in `%s'" . " %s 中的条目")
    ("a key for %s is in %s" . "在%2$s找到 %1$s 的 key")
    ("store it with C-u M-x glm-gptel-auth-store, and then remove %s"
     . "请用 C-u M-x glm-gptel-auth-store 保存它，然后删除%s")
    ("whether a key for %s is in `%s', which GnuPG cannot open"
     . "%2$s 中是否有 %1$s 的 key：GnuPG 无法解密它")
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
    ("gptel has no backend for GLM" . "gptel 没有 GLM 的 backend")
    ("gptel is not loaded yet, and so has no backends"
     . "gptel 尚未加载，因此还没有 backend")
    ("run M-x gptel, and then check again" . "请运行 M-x gptel，然后再检查一次")
    ("answers, version %s" . "有响应，版本 %s")
    ("glm-token is version %s, but glm-gptel-auth is %s"
     . "glm-token 的版本是 %s，而 glm-gptel-auth 是 %s")
    ("update both, then M-x glm-gptel-auth-restart"
     . "请更新两者，然后运行 M-x glm-gptel-auth-restart")
    ("backends, store, keys, hosts and clock: they need the helper"
     . "backend、存储位置、key、主机和时钟：检查它们需要后台进程")
    ("whether the service accepts a token" . "服务是否接受令牌")
    ("C-u M-x glm-gptel-auth-doctor sends one chat request of one token"
     . "C-u M-x glm-gptel-auth-doctor 会发送一个极小的对话请求（max_tokens=1）"))
  "Chinese formats by the English ones, an alist.
They may take their arguments in another order.")

(provide 'glm-gptel-auth-zh)
;;; glm-gptel-auth-zh.el ends here
