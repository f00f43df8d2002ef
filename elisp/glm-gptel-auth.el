;;; glm-gptel-auth.el --- Fresh GLM tokens for gptel, keys in the OS keychain  -*- lexical-binding: t; -*-

;; Copyright (C) 2026 The glm-token developers

;; Author: The glm-token developers
;; Maintainer: The glm-token developers
;; Version: 0.1.0
;; Package-Requires: ((emacs "28.1"))
;; Keywords: comm, tools
;; SPDX-License-Identifier: GPL-3.0-or-later

;; This file is not part of GNU Emacs.

;; This program is free software; you can redistribute it and/or modify
;; it under the terms of the GNU General Public License as published by
;; the Free Software Foundation, either version 3 of the License, or
;; (at your option) any later version.

;; This program is distributed in the hope that it will be useful,
;; but WITHOUT ANY WARRANTY; without even the implied warranty of
;; MERCHANTABILITY or FITNESS FOR A PARTICULAR PURPOSE.  See the
;; GNU General Public License for more details.

;; You should have received a copy of the GNU General Public License
;; along with this program.  If not, see <https://www.gnu.org/licenses/>.

;;; Commentary:

;; GLM (Zhipu, open.bigmodel.cn and api.z.ai) for gptel, without an API key
;; in init.el.
;;
;; The program `glm-token' keeps the key in the keychain of your system.  For
;; every single request, this package asks it for a fresh token, which is
;; valid for minutes, and hands that to gptel.  Emacs keeps neither key nor
;; token.  When there is no token, no request is sent: gptel is left ready for
;; the next one, and one sentence says what to do.
;;
;; To start, when glm-token is not there yet, install it, and then be guided
;; through service, plan and key:
;;
;;   M-x glm-gptel-auth-install
;;   M-x glm-gptel-auth-setup
;;
;; That shows the lines for init.el.  In short, they are:
;;
;;   (with-eval-after-load 'gptel
;;     (setq gptel-backend (glm-gptel-auth-make-backend "GLM")
;;           gptel-model 'glm-5.3))
;;
;; Further commands:
;;
;;   M-x glm-gptel-auth-store, -delete   store or delete another key
;;   M-x glm-gptel-auth-status           show helper, store and accounts
;;   M-x glm-gptel-auth-doctor           find out why there is no token
;;   M-x glm-gptel-auth-restart, -lock   restart the helper; forget a passphrase
;;   M-x glm-gptel-auth-source-enable    give tokens to every other package
;;
;; Options: M-x customize-group RET glm-gptel-auth.  Models, thinking, the
;; Coding Plan, versions of gptel, and other packages are on the page
;; docs/emacs.md of the program's repository and npm package, in Chinese
;; docs/emacs.zh-CN.md.

;;; Code:

;; This file holds what init.el needs: options, header and backend.  The
;; other files are loaded when they are used, and depend on those above them:
;;
;;   glm-gptel-auth-messages.el  texts in two languages; failures and cures
;;   glm-gptel-auth-program.el   finds glm-token
;;   glm-gptel-auth-process.el   waits for it; one process for one token
;;   glm-gptel-auth-helper.el    speaks with the helper
;;   glm-gptel-auth-request.el   asks for tokens and the rest; passphrases
;;   glm-gptel-auth-install.el   installs glm-token with npm
;;   glm-gptel-auth-source.el    serves auth-source
;;   glm-gptel-auth-commands.el  store, delete, status ...
;;   glm-gptel-auth-setup.el     the guided first run, and the doctor

(eval-when-compile
  (require 'cl-lib)
  (require 'subr-x))

(autoload 'glm-gptel-auth--token "glm-gptel-auth-request")
(autoload 'glm-gptel-auth--request "glm-gptel-auth-request")
(autoload 'glm-gptel-auth--text "glm-gptel-auth-messages")
(autoload 'glm-gptel-auth--with-cure "glm-gptel-auth-messages")
(autoload 'glm-gptel-auth--failure-text "glm-gptel-auth-messages")

;; A plain `require' from `load-path' has to offer these commands too; a
;; package manager has generated their autoloads already.
(defconst glm-gptel-auth--commands
  '(("glm-gptel-auth-commands"
     (glm-gptel-auth-store
      "Ask for an API key and store it for HOST and PROFILE, strings or nil."
      &optional host profile command)
     (glm-gptel-auth-delete
      "Delete the key stored for HOST and PROFILE, strings or nil, after asking."
      &optional host profile)
     (glm-gptel-auth-status
      "Show a summary of the helper and what it serves; no secret.")
     (glm-gptel-auth-restart
      "Restart the helper, or connect again to the one on a socket.")
     (glm-gptel-auth-lock
      "Have the helper forget the passphrase of the key file, and held keys."))
    ("glm-gptel-auth-install"
     (glm-gptel-auth-install
      "Install glm-token, the program behind this package, after asking."
      &optional tarball))
    ("glm-gptel-auth-setup"
     (glm-gptel-auth-setup
      "Set up a GLM key, and have gptel use it: service, plan, key, check.")
     (glm-gptel-auth-doctor
      "Check all that a token depends on, and show what is wrong and its cure."
      &optional live))
    ("glm-gptel-auth-source"
     (glm-gptel-auth-source-enable
      "Give fresh GLM tokens to every package that asks auth-source for them.")
     (glm-gptel-auth-source-disable
      "Undo what `glm-gptel-auth-source-enable' did.")))
  "Commands by their files, with what help shows before these are loaded.
A test compares it with the files.")

(pcase-dolist (`(,file . ,commands) glm-gptel-auth--commands)
  (pcase-dolist (`(,command ,summary . ,arguments) commands)
    (unless (fboundp command)
      (autoload command file (help-add-fundoc-usage summary arguments) t))))

(declare-function cl-struct-slot-offset "cl-macs")
(declare-function gptel-abort "ext:gptel-request")
(declare-function gptel-backend-host "ext:gptel-request" t t)
(declare-function gptel-backend-name "ext:gptel-request" t t)
(declare-function gptel-fsm-handlers "ext:gptel-request" t t)
(declare-function gptel-fsm-info "ext:gptel-request" t t)
(declare-function gptel--fsm-transition "ext:gptel-request")
(declare-function gptel-make-deepseek "ext:gptel-openai-extras")
(declare-function gptel-make-openai "ext:gptel-openai")

;;;; Options

(defconst glm-gptel-auth-version "0.1.0"
  "Version of this package; glm-token should have the same.")

(defgroup glm-gptel-auth nil
  "Fresh GLM tokens for gptel and auth-source."
  :group 'comm
  :prefix "glm-gptel-auth-")

(defcustom glm-gptel-auth-profile nil
  "Which of several keys for one host to use, a string or nil.
With nil, glm-token decides: it is environment variable
GLM_TOKEN_PROFILE if that is set.  A buffer-local value is for the
requests of that buffer (gptel 0.9.9.5 and later)."
  :type '(choice (const :tag "The default of glm-token" nil) string))

(defcustom glm-gptel-auth-host nil
  "Host whose key signs the tokens, a string or nil.
With nil, it is the host of the backend that makes the request.  Set
this only when requests go through a proxy or gateway of your own: the
token for this host is then sent to wherever the backend points."
  :type '(choice (const :tag "The host of the backend" nil) string))

(defcustom glm-gptel-auth-hosts '("open.bigmodel.cn" "api.z.ai")
  "Hosts whose keys glm-token keeps, a list of strings.
The first one is the default host of `glm-gptel-auth-make-backend'.
`auth-source-search' for a host that is not in this list, and that no
such backend has, does not start or ask glm-token."
  :type '(repeat string))

(defcustom glm-gptel-auth-command nil
  "How to call glm-token, a string, a list of strings, or nil.
A string is the program; a list is the program and its first arguments,
for example absolute paths of node and of the script.

With nil, glm-token is searched for, in this order:
1. beside this package, as it is in a checkout and in the npm package;
2. what `glm-gptel-auth-install' installed;
3. on variable `exec-path', and then where npm usually puts it."
  :type '(choice (const :tag "Search for it" nil)
                 (string :tag "Program")
                 (repeat :tag "Program and arguments" string)))

(defcustom glm-gptel-auth-socket nil
  "Socket of a helper to ask in place of one of our own, a string or nil.
It is the file name at which `glm-token daemon --socket' listens, or
which ssh forwards to such a helper.  With nil, it is environment
variable GLM_TOKEN_SOCKET if that is set; else Emacs starts a helper of
its own.  While it is set, nothing else gives tokens."
  :type '(choice (const :tag "GLM_TOKEN_SOCKET, or a helper of our own" nil)
                 file))

(defcustom glm-gptel-auth-transport 'helper
  "How to ask for a token, a symbol.
`helper' keeps one process that answers in a few milliseconds;
`process' starts a program for each token, in about a tenth of a second.
Everything but tokens is asked of the helper in both cases."
  :type '(choice (const :tag "One helper for all" helper)
                 (const :tag "One process for each token" process)))

(defcustom glm-gptel-auth-lock-after nil
  "When the helper locks the encrypted key file, a string or nil.
It locks the file after no token was requested for this long, such as
\"15m\", \"2h\" or \"1d\"; with nil, after 15 minutes.  A change takes
effect when the helper is next started.  The OS keychain has a lock of
its own."
  :type '(choice (const :tag "After 15 minutes" nil) string))

(defcustom glm-gptel-auth-timeout 5
  "How long to wait for an answer, in seconds.
While the keychain waits for you to unlock it, the wait is longer."
  :type 'number)

;;;; Tokens

(defmacro glm-gptel-auth--with-user-errors (&rest body)
  "Evaluate BODY, and signal a failure of glm-token as a `user-error'."
  (declare (indent 0) (debug t))
  `(condition-case failure
       (progn ,@body)
     (glm-gptel-auth-error
      (user-error "%s" (glm-gptel-auth--text
                        'glm (glm-gptel-auth--failure-text failure))))))

(defun glm-gptel-auth--account (&optional host profile)
  "Return a plist of HOST and PROFILE, or else of what the options say.
A property that is set nowhere is absent, so that glm-token decides."
  (let ((host (or host glm-gptel-auth-host))
        (profile (or profile glm-gptel-auth-profile)))
    (append (when host (list :host host))
            (when profile (list :profile profile)))))

;;;###autoload
(defun glm-gptel-auth-token (&optional host profile)
  "Return a fresh token, a string, for HOST and PROFILE, strings.
They default to `glm-gptel-auth-host' and `glm-gptel-auth-profile', and
else to the defaults of glm-token.  Signal a `user-error' that says what
to do when there is no token."
  (glm-gptel-auth--with-user-errors
    (glm-gptel-auth--token (glm-gptel-auth--account host profile))))

;;;; gptel's header

(defvar gptel-backend)
(defvar gptel--fsm-last)
(defvar gptel--request-alist)

(defun glm-gptel-auth--drop-parked-request ()
  "Remove the curl process that gptel started before it asked for headers.
Since gptel 0.9.9.5 that process waits for them in the current buffer,
and would wait forever."
  (when-let* ((process (get-buffer-process (current-buffer)))
              ((string-prefix-p "gptel-curl" (process-name process))))
    (set-process-sentinel process #'ignore)
    (set-process-filter process #'ignore)
    (delete-process process)
    (let ((kill-buffer-query-functions nil))
      (kill-buffer (current-buffer)))))

(defun glm-gptel-auth--abort-tool-loop (info)
  "Abort the tool loop that INFO, gptel's plist or nil, belongs to.
Otherwise, when a later request of a loop fails, the header line goes on
saying that a tool is called, and the loop counts as running.  gptel
still lists the request before it, unless the tool is asynchronous."
  (when-let* ((buffer (plist-get info :buffer))
              ((buffer-live-p buffer)))
    (let ((fsm (buffer-local-value 'gptel--fsm-last buffer))
          (entries gptel--request-alist))
      (while (and entries
                  (not (eq info (gptel-fsm-info (cadr (car entries))))))
        (pop entries))
      (cond (entries (gptel-abort buffer))
            ((and fsm (eq info (gptel-fsm-info fsm)))
             (gptel--fsm-transition fsm 'ABRT))))))

(defun glm-gptel-auth--token-for-request (host profile &optional info)
  "Return a fresh token for a request to HOST with PROFILE, strings or nil.
When there is none, remove the request that gptel has begun; INFO is its
plist, or nil when it is not known."
  (condition-case err
      (glm-gptel-auth-token host profile)
    ((error quit)
     (glm-gptel-auth--drop-parked-request)
     ;; Other versions of gptel may keep their requests in another way.
     (ignore-errors (glm-gptel-auth--abort-tool-loop info))
     (signal (car err) (cdr err)))))

(defun glm-gptel-auth--backend (info)
  "Return the backend of the request of INFO, gptel's plist or nil, or nil."
  (or (plist-get info :backend) (bound-and-true-p gptel-backend)))

(defun glm-gptel-auth--option (name info)
  "Return the value of option NAME for the request of INFO, gptel's plist or nil.
gptel asks for headers in a buffer of curl's; what the user has set for a
buffer is in that of the request."
  (let ((buffer (plist-get info :buffer)))
    (if (buffer-live-p buffer) (buffer-local-value name buffer)
      (symbol-value name))))

(defun glm-gptel-auth--header (info profile)
  "Return the header for the request of INFO, gptel's plist or nil.
PROFILE is a string, or nil for `glm-gptel-auth-profile'."
  (let* ((backend (glm-gptel-auth--backend info))
         (host (or (glm-gptel-auth--option 'glm-gptel-auth-host info)
                   (and backend (gptel-backend-host backend))))
         (profile (or profile
                      (glm-gptel-auth--option 'glm-gptel-auth-profile info)))
         (token (glm-gptel-auth--token-for-request host profile info)))
    (when info (glm-gptel-auth--explain-errors-in info))
    `(("Authorization" . ,(concat "Bearer " token)))))

;;;###autoload
(defun glm-gptel-auth-header (&optional info)
  "Return the header of a GLM request, an alist, with a token signed for it.
For gptel's `:header'.  INFO is gptel's plist about the request, or nil
as before gptel 0.9.9.5.  The key is that of the backend's host, or of
`glm-gptel-auth-host', and of `glm-gptel-auth-profile'.

When there is no token, remove the request that gptel has begun and
signal a `user-error' that says what to do."
  (glm-gptel-auth--header info nil))

;;;; gptel's backend

(defconst glm-gptel-auth-models
  (let ((text '(:capabilities (tool-use json reasoning)))
        (media '("image/jpeg" "image/png")))
    `((glm-5.3 :description "Flagship" :context-window 1000 ,@text)
      (glm-5.3-flash :description "Fast; reads images"
                     :context-window 1000
                     :capabilities (tool-use json reasoning media)
                     :mime-types ,media)
      (glm-5.2 :context-window 1000 ,@text)
      (glm-5.1 :context-window 200 ,@text)
      (glm-5 :context-window 200 ,@text)
      (glm-5-turbo :context-window 200 ,@text)
      (glm-5v-turbo :description "Reads images" :context-window 200
                    :capabilities (tool-use reasoning media)
                    :mime-types ,media)
      (glm-4.7 :context-window 200 ,@text)
      (glm-4.7-flash :context-window 200 ,@text)
      (glm-4.7-flashx :description "Faster than flash"
                      :context-window 200 ,@text)
      (glm-4.6 :context-window 200 ,@text)
      (glm-4.6v :description "Reads images" :context-window 128
                :capabilities (tool-use reasoning media)
                :mime-types ,media)
      (glm-4.5-air :context-window 128 ,@text)
      (glm-4.5-flash :context-window 128 ,@text)))
  "GLM models and what gptel wants to know of them; windows in 1000 tokens.
Windows and abilities are those of https://models.dev (July 2026), for
glm-5.3 and glm-5.3-flash of https://docs.z.ai/guides/llm/glm-5.3 as
https://vercel.com/ai-gateway/models repeats it, for glm-4.7-flashx of
https://docs.z.ai/guides/llm/glm-4.7 and for glm-4.6v of
https://docs.z.ai/guides/vlm/glm-4.6v.  Prices are left out: they differ
by host and change.")

(defconst glm-gptel-auth-coding-models
  `((glm-5.4 :description "Flagship; reads images" :context-window 1000
             :capabilities (tool-use reasoning media)
             :mime-types ("image/jpeg" "image/png"))
    ,@(mapcar (lambda (model) (assq model glm-gptel-auth-models))
              '(glm-5.3 glm-5.2 glm-5.1 glm-5-turbo glm-4.7 glm-4.5-air)))
  "Models that the GLM Coding Plan is known to offer.
glm-5.1, glm-5-turbo, glm-4.7 and glm-4.5-air are named by
https://docs.z.ai/devpack/faq.  glm-5.3 and glm-5.2 are what the plan's
endpoint lists (https://github.com/PrimeIntellect-ai/prime-agent, discussion
1444, August 2026).  glm-5.4 is on the plan alone, as
https://dev.to/hassann/how-to-use-the-glm-54-api-3940 repeats the service's
page (November 2026).  Name others, which your plan may have, in `:models'.")

(defvar glm-gptel-auth--backends nil
  "Backends that `glm-gptel-auth-make-backend' made, an alist.
Each element is (NAME HOST PROFILE), strings; PROFILE may be nil.")

(defun glm-gptel-auth--our-host-p (host)
  "Return non-nil when HOST, a string, is one that glm-token is for.
Upper and lower case are the same."
  (or (assoc-string host glm-gptel-auth-hosts t)
      (assoc-string host (mapcar #'cadr glm-gptel-auth--backends) t)))

(defun glm-gptel-auth--account-of-backend (backend)
  "Return the account, a plist, whose key signs the requests of BACKEND."
  (let ((host (gptel-backend-host backend))
        (ours (cdr (assoc (gptel-backend-name backend)
                          glm-gptel-auth--backends))))
    (glm-gptel-auth--account (or glm-gptel-auth-host host)
                             (and (equal host (car ours)) (cadr ours)))))

(defvar glm-gptel-auth--failed-account nil
  "Account that failed last, a plist of `:host' and `:profile', or nil.")

(defun glm-gptel-auth--explain-code (code backend)
  "Explain CODE, a string that the service answered to BACKEND.
Say nothing when glm-token does not know the code, or cannot be asked."
  (when-let* ((answer (condition-case nil
                          (glm-gptel-auth--request 'explain (list :code code))
                        (glm-gptel-auth-error nil)))
              (meaning (plist-get answer :message)))
    (let ((action (plist-get answer :action)))
      (when action
        (setq glm-gptel-auth--failed-account
              (glm-gptel-auth--account-of-backend backend)))
      (message "%s" (glm-gptel-auth--text
                     'glm-code code
                     (glm-gptel-auth--with-cure meaning action
                                                (plist-get answer :hint)))))))

(defun glm-gptel-auth--explain-error (&rest args)
  "Explain the service error that a gptel request met, and name its cure.
For `:post' of a gptel request.  ARGS is gptel's plist about the request;
gptel 0.9.9.3 passes two positions, and then nothing is said."
  (when-let* ((info (car args))
              ((consp info))
              (err (plist-get info :error))
              (code (or (and (consp err) (plist-get err :code))
                        (plist-get info :http-status))))
    (glm-gptel-auth--explain-code (format "%s" code)
                                  (glm-gptel-auth--backend info))))

(defun glm-gptel-auth--explain-errors-in (info)
  "Arrange for errors of the request of INFO, gptel's plist, to be explained.
Do nothing when its state machine does that, or when it was arranged before."
  (let ((post (plist-get info :post)))
    (unless (or (plist-get info :glm-gptel-auth)
                (memq #'glm-gptel-auth--explain-error post))
      (plist-put info :post (cons #'glm-gptel-auth--explain-error post)))))

(defun glm-gptel-auth--explain-errors-of (fsm)
  "Arrange for errors of FSM, a gptel request to a host of ours, to be explained.
For `gptel-prompt-transform-functions', the hook that sees requests before
they are sent.  It does not see those of packages that call `gptel-request'
without `:transforms'; those have errors explained from their header on,
which gptel 0.9.9.5 and later tell of the request.

A handler of the state machine is used, since chats before gptel 0.9.9.4
and `gptel-rewrite' run no `:post' functions."
  (let* ((info (gptel-fsm-info fsm))
         (backend (glm-gptel-auth--backend info))
         (handlers (gptel-fsm-handlers fsm)))
    (when (and backend
               (glm-gptel-auth--our-host-p (gptel-backend-host backend))
               (not (plist-get info :glm-gptel-auth)))
      (plist-put info :glm-gptel-auth t)
      (aset fsm (cl-struct-slot-offset 'gptel-fsm 'handlers)
            (cons (append (or (assq 'ERRS handlers) '(ERRS))
                          (list (lambda (fsm)
                                  (glm-gptel-auth--explain-error
                                   (gptel-fsm-info fsm)))))
                  handlers)))))

(defconst glm-gptel-auth--efforts '(low high max)
  "Values of `:effort', symbols.")

(defun glm-gptel-auth--thinking-params (thinking coding-plan)
  "Return the request parameter about THINKING, a plist.
THINKING is t, nil, or `default'; CODING-PLAN is non-nil or nil."
  (let ((preserved (unless coding-plan '(:clear_thinking :json-false))))
    (pcase thinking
      ('nil '(:thinking (:type "disabled")))
      ((guard (or preserved (eq thinking t)))
       `(:thinking (:type "enabled" ,@preserved))))))

(defun glm-gptel-auth--request-params (args)
  "Return the request parameters that ARGS stand for, a plist.
ARGS are the keywords of `glm-gptel-auth-make-backend'; its
`:request-params' take precedence over what its other keywords mean."
  (let* ((effort (plist-get args :effort))
         (thinking (if (plist-member args :thinking) (plist-get args :thinking)
                     'default))
         ;; Another endpoint need not know what this one documents.
         (known (not (plist-member args :endpoint)))
         (params (plist-get args :request-params)))
    (unless (memq effort (cons nil glm-gptel-auth--efforts))
      (user-error "%s" (glm-gptel-auth--text
                        'glm (glm-gptel-auth--text
                              'no-such-effort
                              (mapconcat #'symbol-name glm-gptel-auth--efforts
                                         ", ")))))
    (append params
            (cl-loop for (key value) on
                     (append (when effort
                               (list :reasoning_effort (symbol-name effort)))
                             (when (or known (not (eq thinking 'default)))
                               (glm-gptel-auth--thinking-params
                                thinking (plist-get args :coding-plan)))
                             (when (and known (plist-get args :stream))
                               '(:tool_stream t)))
                     by #'cddr
                     unless (plist-member params key)
                     append (list key value)))))

(defun glm-gptel-auth--check-host (host)
  "Signal a `user-error' unless HOST is what `:host' can be."
  (unless (and (stringp host) (string-match-p "\\`[^/ \t\n]+\\'" host))
    (user-error "%s" (glm-gptel-auth--text
                      'glm (glm-gptel-auth--text 'no-such-host)))))

;;;###autoload
(cl-defun glm-gptel-auth-make-backend
    (name &rest args &key profile (host (car glm-gptel-auth-hosts))
          coding-plan (stream t) effort thinking request-params
          &allow-other-keys)
  "Register a GLM backend for gptel with NAME, a string, and return it.

HOST, a string, is the first of `glm-gptel-auth-hosts' by default;
\"api.z.ai\" is the international endpoint.  PROFILE, a string, fixes the
profile whose key signs for this backend; by default it is
`glm-gptel-auth-profile' at the time of the request.

CODING-PLAN non-nil selects the endpoint of the GLM Coding Plan and
`glm-gptel-auth-coding-models'.  Beware: the plan's terms name the tools
that it may be used with, and gptel may not be one of them; a key of the
plan can be suspended for other use.

EFFORT is how much models think, for glm-5.2 and later: the symbol low,
high or max; the service's own default is max.  glm-5.2 knows high and max
alone.  THINKING turns thinking on (t) or off (nil) in models before
glm-5.3, which always thinks.  By default it is on at the pay-as-you-go
endpoint, and left to the service at that of the Coding Plan.

What long calls of tools need is on by default: with STREAM, which
defaults to t, their arguments come as they are generated (`tool_stream');
and the model keeps what it thought before earlier calls (`clear_thinking'
false, which is the Coding Plan's default).

REQUEST-PARAMS, a plist, is sent with each request, and takes precedence
over all of that.

ARGS are any other keywords of `gptel-make-openai', such as `:models' and
`:endpoint'.  They take precedence over the defaults:
`glm-gptel-auth-models', the general endpoint.  With `:endpoint', nothing
about tools is sent by default.

Sources: https://docs.bigmodel.cn/cn/guide/start/migrate-to-glm-new (effort),
https://openrouter.ai/z-ai/glm-5.3 (effort and thinking of glm-5.3),
https://docs.z.ai/guides/capabilities/thinking-mode and
https://docs.bigmodel.cn/cn/guide/capabilities/stream-tool."
  (declare (indent 1))
  (ignore effort thinking request-params) ; Looked up in ARGS.
  (unless (require 'gptel nil t)
    (user-error "%s" (glm-gptel-auth--text
                      'glm (glm-gptel-auth--with-cure
                            (glm-gptel-auth--text 'no-gptel) nil
                            (glm-gptel-auth--text 'install-gptel)))))
  (require 'gptel-openai-extras nil t)
  (glm-gptel-auth--check-host host)
  (let* ((params (glm-gptel-auth--request-params
                  (append (list :stream stream) args)))
         (options (cl-loop for (key value) on args by #'cddr
                           unless (memq key '(:profile :host :coding-plan
                                              :effort :thinking :request-params))
                           append (list key value)))
         (backend
          (apply (if (fboundp 'gptel-make-deepseek)
                     #'gptel-make-deepseek ; As gptel's NEWS says of GLM.
                   #'gptel-make-openai)
                 name
                 (append options
                         (list :host host
                               :endpoint (if coding-plan
                                             "/api/coding/paas/v4/chat/completions"
                                           "/api/paas/v4/chat/completions")
                               :stream t
                               :models (if coding-plan
                                           glm-gptel-auth-coding-models
                                         glm-gptel-auth-models)
                               :request-params params
                               :header (lambda (&optional info)
                                         (glm-gptel-auth--header info profile)))))))
    (setf (alist-get name glm-gptel-auth--backends nil nil #'equal)
          (list host profile))
    (add-hook 'gptel-prompt-transform-functions
              #'glm-gptel-auth--explain-errors-of)
    backend))

(provide 'glm-gptel-auth)
;;; glm-gptel-auth.el ends here
