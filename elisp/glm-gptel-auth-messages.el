;;; glm-gptel-auth-messages.el --- What Emacs says, in English and Chinese  -*- lexical-binding: t; -*-

;; Copyright (C) 2026 The glm-token developers

;; Author: The glm-token developers
;; Maintainer: The glm-token developers
;; Keywords: comm, tools
;; SPDX-License-Identifier: GPL-3.0-or-later

;; This file is part of glm-gptel-auth; see glm-gptel-auth.el for its
;; licence, the GNU General Public License.

;;; Commentary:

;; Every text that Emacs shows by itself, in both languages, and how a failure
;; is said with its cure.  What glm-token says comes in the same language.

;;; Code:

(require 'seq)
(require 'glm-gptel-auth-zh)

;;;; The language

(defun glm-gptel-auth--language ()
  "Return the language of this Emacs for us, a string: \"en\" or \"zh\".
It is that of environment variable GLM_TOKEN_LANG; else Chinese when the
language environment or the locale is."
  (let ((chosen (getenv "GLM_TOKEN_LANG"))
        (locale (seq-find (lambda (value) (not (member value '(nil ""))))
                          (mapcar #'getenv '("LC_ALL" "LC_MESSAGES" "LANG")))))
    (cond ((member chosen '("en" "zh")) chosen)
          ((string-prefix-p "Chinese" current-language-environment) "zh")
          ((and locale (string-prefix-p "zh" locale)) "zh")
          (t "en"))))

;;;; The texts

(defconst glm-gptel-auth--texts
  '(;; How texts are put together
    (glm "GLM: %s" "GLM：%s")
    (glm-code "GLM %s: %s" "GLM %s：%s")
    (with-cure "%s; %s" "%s；%s")
    (run "run M-x %s" "请运行 M-x %s")
    (run-for-file "run M-x %s, which offers an encrypted file"
                  "请运行 M-x %s，它会询问是否改用加密文件")
    (sentence "%s. " "%s。")
    (ask "%s: " "%s：")
    (ask-with-default "%s (default %s): " "%s（默认 %s）：")
    (account "%s (profile %s)" "%s（profile %s）")
    (default-host "the default host" "默认主机")
    (none "none" "无")

    ;; Finding glm-token
    (not-found "cannot find %s" "找不到 %s")
    (check-command "check `glm-gptel-auth-command', or set it to nil to have \
glm-token searched for"
                   "请检查 glm-gptel-auth-command；设为 nil 则自动查找 glm-token")
    (set-command "set `glm-gptel-auth-command' as glm-token setup prints it"
                 "请按 glm-token setup 的输出设置 glm-gptel-auth-command")
    (check-lock-after "check `glm-gptel-auth-lock-after'"
                      "请检查 glm-gptel-auth-lock-after")
    (no-node "cannot find node, which runs glm-token"
             "找不到运行 glm-token 所需的 node")
    (no-program "cannot find the program glm-token" "找不到程序 glm-token")

    ;; Installing it
    (not-published "glm-token is not on npm's registry yet"
                   "glm-token 还没有发布到 npm")
    (without-registry "run `npm install -g .' in a checkout of it, or \
`npm pack' there, and then C-u M-x glm-gptel-auth-install here"
                      "请在源码目录中运行 npm install -g .；或在那里运行 \
npm pack，再用 C-u M-x glm-gptel-auth-install 安装生成的文件")
    (no-npm "cannot find npm, which comes with Node" "找不到 npm，它随 Node 一起安装")
    (install-node "install Node, from your system's packages or nodejs.org"
                  "请安装 Node：用系统的包管理器，或从 nodejs.org 下载")
    (npm-runs "npm is still installing" "npm 还在安装")
    (ask-tarball "File that `npm pack' made: " "由 npm pack 生成的文件：")
    (ask-install "Install %s with npm into %s? " "是否用 npm 把 %s 安装到 %s？")
    (ask-update "glm-token %s is installed; replace it with %s? "
                "已安装 glm-token %s，是否换成 %s？")
    (not-installed "nothing was installed" "没有安装任何内容")
    (npm-failed "npm ended with status %s; its output is in %s"
                "npm 已退出，退出码 %s；它的输出在 %s")
    (installed "installed glm-token %s; M-x glm-gptel-auth-setup goes on from here"
               "已安装 glm-token %s；接下来请运行 M-x glm-gptel-auth-setup")
    (installed-not-used "installed glm-token %s, but another one takes \
precedence; see M-x glm-gptel-auth-status"
                        "已安装 glm-token %s，但优先使用的是另一个；见 \
M-x glm-gptel-auth-status")

    ;; Asking it
    (waiting "waiting for the keychain; does it ask to be unlocked? \
(C-g to give up)"
             "正在等待系统钥匙串，它可能在等你解锁（按 C-g 放弃）")
    (waiting-for "waiting for %s; does it ask for something? (C-g to give up)"
                 "正在等待 %s，它可能在等你输入（按 C-g 放弃）")
    (print-late "glm-token did not answer within %s s"
                "glm-token 在 %s 秒内没有回答")
    (cannot-start "cannot start glm-token: %s" "无法启动 glm-token：%s")
    (print-ended "glm-token ended with status %s" "glm-token 已退出，退出码 %s")
    (no-token "glm-token gave no token" "glm-token 没有给出令牌")
    (helper-late "the helper did not answer in time" "后台进程没有及时回答")
    (helper-ended "the helper ended with status %s" "后台进程已退出，退出码 %s")
    (helper-said "the helper ended with status %s (%s)"
                 "后台进程已退出，退出码 %s（%s）")
    (socket-silent "nothing answers at %s (%s)" "%s 没有响应（%s）")
    (socket-closed "%s was closed without an answer" "%s 没有回答就关闭了")
    (mend-socket "start the helper (glm-token daemon --socket), or log in \
again with the ssh -R that forwards it"
                 "请启动后台进程（glm-token daemon --socket），或用转发它的 ssh -R \
重新登录")

    ;; The passphrase
    (ask-passphrase "Passphrase of the GLM encrypted file: " "GLM 加密文件的口令：")
    (ask-new-passphrase "New passphrase for the GLM encrypted file: "
                        "GLM 加密文件的新口令：")
    (ask-passphrase-again "Wrong passphrase. Try again: "
                          "口令错误，请重新输入：")
    (ask-passphrase-repeated "Repeat passphrase: " "再次输入口令：")
    (passphrases-differ "The passphrases do not match. " "两次输入的口令不一致。")
    (passphrase-needed "the encrypted file needs its passphrase" "需要加密文件的口令")
    (set-passphrase-file "set GLM_TOKEN_PASSPHRASE_FILE"
                         "请设置 GLM_TOKEN_PASSPHRASE_FILE")
    (use-helper "set `glm-gptel-auth-transport' to helper, which asks for it"
                "请把 glm-gptel-auth-transport 设为 helper，它会询问口令")
    (file-locked "the encrypted file is locked" "加密文件已锁定")
    (asks-later "the next request asks for its passphrase" "下次请求时会询问口令")
    (asking-already "the passphrase is already being asked for" "正在询问口令")
    (answer-first "type it in the minibuffer, and then try again"
                  "请先在 minibuffer 中输入，然后重试")

    ;; Keys
    (host "Host" "主机")
    (profile "Profile" "Profile")
    (ask-file-instead "Keep keys in an encrypted file instead? "
                      "是否改为保存到加密文件？")
    (ask-replace "A different key (%s) is stored for %s; replace it? "
                 "%2$s 已保存了另一个 key（%1$s），是否替换？")
    (not-well-formed "not well-formed" "格式不正确")
    (ask-key "API key for %s (%s): " "%s 的 API key（%s）：")
    (ask-from-command "Does a command print the key, as of a password manager? "
                      "key 是否由命令输出（例如密码管理器的命令）？")
    (ask-command "Command that prints the key: " "输出 key 的命令：")
    (key-not-command "this is a key, not a command; answer no to be asked for \
the key itself"
                     "这是 key，不是命令；请回答 n，然后输入 key")
    (stored "stored the key for %s in %s" "已把 %s 的 key 保存在%s")
    (from-command "the key for %s comes from %s from now on"
                  "%s 的 key 今后由 %s 提供")
    (kept "kept the key for %s" "保留了 %s 原有的 key")
    (ask-delete "Delete the key stored for %s? " "是否删除 %s 的 key？")
    (deleted "deleted the key for %s" "已删除 %s 的 key")
    (not-stored "no key is stored for %s" "没有保存 %s 的 key")

    ;; auth-source

    ;; The helper, and what there is
    (restarted "helper restarted (glm-token %s, process %s)"
               "已重启后台进程（glm-token %s，进程 %s）")
    (reconnected "connected to the helper again (glm-token %s, process %s)"
                 "已重新连接后台进程（glm-token %s，进程 %s）")
    (locked "the helper holds no passphrase and no key now; a keychain has a \
lock of its own"
            "后台进程中不再有口令和 key；系统钥匙串请用它自己的程序锁定")
    (status-title "GLM token status" "GLM 令牌状态")
    (transport-row "Transport" "方式")
    (transport-socket "socket: the helper at %s" "套接字：%s 处的后台进程")
    (transport-helper "helper: one process for all tokens"
                      "helper：所有令牌共用一个进程")
    (transport-process "process: one process for each token"
                       "process：每个令牌启动一个进程")
    (helper-row "Helper" "后台进程")
    (helper-is "process %d, glm-token %s, up %s, %d tokens"
               "进程 %d，glm-token %s，已运行 %s，签发令牌 %d 个")
    (uptime "%dd %hh %mm %z%ss" "%d 天 %h 小时 %m 分 %z%s 秒")
    (store-row "Store" "存储位置")
    (store-locked "%s, locked" "%s，已锁定")
    (store-unlocked "%s, unlocked" "%s，已解锁")
    (store-new "%s, not created yet" "%s，尚未创建")
    (store-unavailable "%s, not available now" "%s，目前不可用")
    (environment-first "%s; GLM_API_KEY is set and takes precedence"
                       "%s；已设置 GLM_API_KEY，将优先使用它")
    (unknown "unknown" "未知")
    (latency-row "Last token" "最近的令牌")
    (latency "came in %.1f ms" "耗时 %.1f 毫秒")
    (no-latency "none yet" "还没有")
    (accounts-row "Accounts" "账户")
    (account-is "%s: %s (%s)" "%s：%s（%s）")
    (not-a-key "not an API key" "不是 API key")
    (program-row "Program" "程序")
    (versions-row "Versions" "版本")
    (versions "glm-gptel-auth %s, Emacs %s" "glm-gptel-auth %s，Emacs %s")

    ;; The guided first run

    ;; The doctor
    (no-gptel "gptel is not installed" "尚未安装 gptel")
    (install-gptel "M-x package-install RET gptel" "请运行 M-x package-install RET gptel")
    (versions-differ "glm-token is version %s, but glm-gptel-auth is %s"
                     "glm-token 的版本是 %s，而 glm-gptel-auth 是 %s")

    ;; The backend
    (no-such-host ":host is a string such as \"api.z.ai\", without https:// and path"
                  ":host 应是 \"api.z.ai\" 这样的字符串，不带 https:// 和路径")
    (no-such-effort ":effort is one of %s" ":effort 只能是 %s"))
  "What Emacs says by itself: names, each with its English and its Chinese.
They are formats; Chinese may take the arguments in another order.")

(defun glm-gptel-auth--text (string &rest args)
  "Return STRING, an English format, with ARGS, in the user's language.
Its Chinese is in glm-gptel-auth-zh.el.  For now, STRING can also be the
name of a text in `glm-gptel-auth--texts', a symbol."
  (let* ((chinese (equal "zh" (glm-gptel-auth--language)))
         (named (and (symbolp string)
                     (cdr (assq string glm-gptel-auth--texts))))
         (text (cond (named (if chinese (cadr named) (car named)))
                     (chinese (or (cdr (assoc string glm-gptel-auth--zh)) string))
                     (t string))))
    (if args (apply #'format text args) text)))

(defun glm-gptel-auth--prompt (name default)
  "Return a prompt for what the text NAME, a symbol, stands for.
DEFAULT, a string or nil, is what an empty answer means."
  (let ((what (glm-gptel-auth--text name)))
    (if default (glm-gptel-auth--text 'ask-with-default what default)
      (glm-gptel-auth--text 'ask what))))

(defun glm-gptel-auth--say (name &rest args)
  "Show the text NAME, a symbol, formatted with ARGS, in the echo area."
  (message "%s" (glm-gptel-auth--text
                 'glm (apply #'glm-gptel-auth--text name args))))

;;;; Failures

(define-error 'glm-gptel-auth-error "GLM token")

(define-error 'glm-gptel-auth--key-refused "GLM key" 'glm-gptel-auth-error)

(defconst glm-gptel-auth--cures
  '(("ERR_KEY_NOT_FOUND" . glm-gptel-auth-store)
    ("ERR_KEY_MALFORMED" . glm-gptel-auth-store)
    ("ERR_DAEMON" . glm-gptel-auth-doctor)
    ("store" . glm-gptel-auth-store))
  "Commands that cure what glm-token reports, an alist.
The keys are its error codes, and the actions that it suggests for errors
of the service.  For all others, its own hint says what to do.")

(defun glm-gptel-auth--offers-file-p (code hint)
  "Return non-nil when the cure in HINT for CODE is an encrypted file.
Both are strings or nil.  The option of the shell command is looked for,
since it is the same in every language; `glm-gptel-auth-store' offers the
file by itself."
  (and (equal code "ERR_STORE_UNAVAILABLE")
       hint (string-search "--store file" hint)))

(defun glm-gptel-auth--cure (code hint)
  "Return what to do about CODE, a string or nil, as a text and a command.
Return nil when HINT, a string or nil, is all that can be said."
  (let ((command (cdr (assoc code glm-gptel-auth--cures))))
    (cond (command (list 'run command))
          ((glm-gptel-auth--offers-file-p code hint)
           '(run-for-file glm-gptel-auth-store)))))

(defun glm-gptel-auth--with-cure (message code hint)
  "Return MESSAGE with the cure for CODE, or else with HINT.
All are strings; CODE and HINT may be nil."
  (let* ((command (glm-gptel-auth--cure code hint))
         (cure (if command (apply #'glm-gptel-auth--text command) hint)))
    (if cure (glm-gptel-auth--text 'with-cure message cure) message)))

(defun glm-gptel-auth--fail (code message &optional hint)
  "Signal a failure with CODE, MESSAGE and HINT.
MESSAGE is a string, and each of the others a string or nil."
  (signal 'glm-gptel-auth-error (list code message hint)))

(defun glm-gptel-auth--failure-text (failure)
  "Return what to say of FAILURE, a caught `glm-gptel-auth-error'.
When a key that was typed was refused, \"store it\" is no cure."
  (pcase-let ((`(,kind ,code ,message ,hint) failure))
    (glm-gptel-auth--with-cure
     message (unless (eq kind 'glm-gptel-auth--key-refused) code) hint)))

(defun glm-gptel-auth--sentence (message)
  "Return MESSAGE, a string of glm-token's, as a sentence before a question."
  (glm-gptel-auth--text
   'sentence (concat (upcase (substring message 0 1)) (substring message 1))))

(provide 'glm-gptel-auth-messages)
;;; glm-gptel-auth-messages.el ends here
