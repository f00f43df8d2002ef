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
;; Options: M-x customize-group RET glm-gptel-auth.  Commands, models,
;; thinking, the Coding Plan, versions of gptel, and other packages are on the
;; page docs/emacs.md of the program's repository and npm package, in Chinese
;; docs/emacs.zh-CN.md.

;;; Code:

;; The way of a token: `glm-gptel-auth-header' calls `glm-gptel-auth--token',
;; which calls `glm-gptel-auth--request'.  The other files are loaded when
;; they are used:
;;
;;   glm-gptel-auth-setup.el    the guided first run, and the doctor
;;   glm-gptel-auth-install.el  installs glm-token with npm
;;   glm-gptel-auth-source.el   answers auth-source
;;   glm-gptel-auth-zh.el       Chinese

(eval-when-compile
  (require 'cl-lib)
  (require 'subr-x))

;; A plain `require' from `load-path' has to offer these too; a package
;; manager has generated their autoloads already.
(autoload 'glm-gptel-auth-setup "glm-gptel-auth-setup" nil t)
(autoload 'glm-gptel-auth-doctor "glm-gptel-auth-setup" nil t)
(autoload 'glm-gptel-auth-install "glm-gptel-auth-install" nil t)
(autoload 'glm-gptel-auth-source-enable "glm-gptel-auth-source" nil t)
(autoload 'glm-gptel-auth-source-disable "glm-gptel-auth-source" nil t)

(declare-function glm-gptel-auth--how-to-install "glm-gptel-auth-install")
(declare-function auth-source-forget-all-cached "auth-source")
(declare-function gptel-abort "ext:gptel-request")
(declare-function gptel-backend-host "ext:gptel-request" t t)
(declare-function gptel-fsm-info "ext:gptel-request" t t)
(declare-function gptel--fsm-transition "ext:gptel-request")
(declare-function gptel-make-deepseek "ext:gptel-openai-extras")
(declare-function gptel-make-openai "ext:gptel-openai")
(declare-function json-read-from-string "json")
(declare-function jsonrpc-async-request "jsonrpc")
(declare-function make-instance "eieio")
(declare-function slot-exists-p "eieio")
(defvar glm-gptel-auth--zh)
(defvar gptel-backend)
(defvar gptel--fsm-last)
(defvar gptel-stream)
(defvar gptel--request-alist)
(defvar json-false)
(defvar json-null)
(defvar json-object-type)

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
  :type '(choice (const :tag "The default of glm-token" nil) string)
  :safe #'string-or-null-p)

(defcustom glm-gptel-auth-hosts '("open.bigmodel.cn" "api.z.ai")
  "Hosts that auth-source is answered for, a list of strings.
A search for any other host does not start or ask glm-token.  The first
one is the default host of `glm-gptel-auth-make-backend'."
  :type '(repeat string))

(defcustom glm-gptel-auth-command nil
  "How to call glm-token, a string, a list of strings, or nil.
A string is the program; a list is the program and its first arguments,
for example absolute paths of node and of the script.

With nil, glm-token is searched for, in this order:
1. beside this package, as it is in a checkout and in the npm package;
2. what `glm-gptel-auth-install' installed;
3. on variable `exec-path'."
  :type '(choice (const :tag "Search for it" nil)
                 (string :tag "Program")
                 (repeat :tag "Program and arguments" string)))

(defcustom glm-gptel-auth-socket nil
  "File name of a running helper's socket, or nil to start a helper.
It is the file name at which `glm-token daemon --socket' listens, or
which ssh forwards to such a helper.  With nil, it is environment
variable GLM_TOKEN_SOCKET if that is set.  While it is set, nothing else
gives tokens."
  :type '(choice (const :tag "GLM_TOKEN_SOCKET, or a helper of our own" nil)
                 file))

(defcustom glm-gptel-auth-plain nil
  "Non-nil means to run `glm-token print' for each token.
Emacs then keeps no process, and waits about a tenth of a second for each
token, or for as long as the keychain waits for you.  A passphrase cannot
be typed: an encrypted file needs GLM_TOKEN_PASSPHRASE_FILE.  Commands
such as \\[glm-gptel-auth-status] start a helper all the same."
  :type 'boolean)

(defcustom glm-gptel-auth-lock-after nil
  "When the helper locks the encrypted file, a string or nil.
It locks the file after no token was requested for this long, such as
\"15m\", \"2h\" or \"1d\"; with nil, after 15 minutes.  A change takes
effect when the helper is next started.  The OS keychain has a lock of
its own."
  :type '(choice (const :tag "After 15 minutes" nil) string))

;;;; Texts

(defun glm-gptel-auth--getenv (variable)
  "Return the value of VARIABLE in the environment of Emacs itself, or nil.
That of a buffer, as direnv sets it, does not count: one helper serves all."
  (let ((value (getenv-internal
                variable (default-toplevel-value 'process-environment))))
    (and (stringp value) (not (equal value "")) value)))

(defun glm-gptel-auth--language ()
  "Return the language of this Emacs for us, a string: \"en\" or \"zh\".
It is that of environment variable GLM_TOKEN_LANG; else Chinese when the
language environment or the locale is."
  (let ((chosen (glm-gptel-auth--getenv "GLM_TOKEN_LANG"))
        (locale (or (glm-gptel-auth--getenv "LC_ALL")
                    (glm-gptel-auth--getenv "LC_MESSAGES")
                    (glm-gptel-auth--getenv "LANG") "")))
    (cond (chosen (if (string-prefix-p "zh" chosen t) "zh" "en"))
          ((or (string-prefix-p "Chinese" current-language-environment)
               (string-prefix-p "zh" locale t))
           "zh")
          (t "en"))))

(defun glm-gptel-auth--text (string &rest args)
  "Return STRING, an English format, with ARGS, in the user's language.
Its Chinese is in glm-gptel-auth-zh.el."
  (apply #'format
         (or (and (equal "zh" (glm-gptel-auth--language))
                  (require 'glm-gptel-auth-zh)
                  (cdr (assoc string glm-gptel-auth--zh)))
             string)
         args))

(defun glm-gptel-auth--say (string &rest args)
  "Show STRING, an English format, with ARGS, in the user's language."
  (message "%s" (glm-gptel-auth--text
                 "GLM: %s" (apply #'glm-gptel-auth--text string args))))

(eval-and-compile
  (put 'glm-gptel-auth--text 'byte-compile-format-like t)
  (put 'glm-gptel-auth--say 'byte-compile-format-like t))

;;;; Failures

(define-error 'glm-gptel-auth-error "GLM token")

(defun glm-gptel-auth--fail (message &optional hint action code)
  "Signal a failure with MESSAGE, HINT, ACTION and CODE.
MESSAGE is a string, and each of the others a string or nil: what to do,
what does it, and why, the last two as glm-token has them."
  (signal 'glm-gptel-auth-error (list code message hint action)))

(defconst glm-gptel-auth--commands
  '(("store" . glm-gptel-auth-store)
    ("unlock" . glm-gptel-auth-unlock)
    ("file" . glm-gptel-auth-store)
    ("doctor" . glm-gptel-auth-doctor))
  "Commands that do what glm-token calls an action, an alist.")

(defun glm-gptel-auth--with-cure (message action hint)
  "Return MESSAGE with the command for ACTION, or else with HINT.
All are strings; ACTION and HINT may be nil."
  (let* ((command (cdr (assoc action glm-gptel-auth--commands)))
         (cure (cond ((equal action "file")
                      (glm-gptel-auth--text
                       "run M-x %s, which offers an encrypted file" command))
                     (command (glm-gptel-auth--text "run M-x %s" command))
                     (t hint))))
    (if cure (glm-gptel-auth--text "%s; %s" message cure) message)))

(defun glm-gptel-auth--failure-text (failure)
  "Return what to say of FAILURE, a caught `glm-gptel-auth-error'."
  (pcase-let ((`(,_ ,_ ,message ,hint ,action) failure))
    (glm-gptel-auth--with-cure message action hint)))

(defun glm-gptel-auth--sentence (message)
  "Return MESSAGE, a string of glm-token's, as a sentence before a question."
  (glm-gptel-auth--text
   "%s. " (concat (upcase (substring message 0 1)) (substring message 1))))

(defmacro glm-gptel-auth--with-user-errors (&rest body)
  "Evaluate BODY, and signal a failure of glm-token as a `user-error'."
  (declare (indent 0) (debug t))
  `(condition-case failure
       (progn ,@body)
     (glm-gptel-auth-error
      (user-error "%s" (glm-gptel-auth--text
                        "GLM: %s" (glm-gptel-auth--failure-text failure))))))

;;;; Where glm-token is

(defconst glm-gptel-auth--directory
  (file-name-directory
   (file-truename (or load-file-name buffer-file-name default-directory)))
  "The directory that this file was loaded from.")

(defmacro glm-gptel-auth--globally (&rest body)
  "Evaluate BODY in the environment of Emacs itself, not that of a buffer.
Programs that BODY starts speak our language.  NODE_OPTIONS is unset,
since it could have node open its debugger, where others read keys."
  (declare (indent 0) (debug t))
  `(let ((default-directory (file-name-as-directory (expand-file-name "/")))
         (exec-path (default-toplevel-value 'exec-path))
         (process-environment
          (append (list "NODE_OPTIONS"
                        (concat "GLM_TOKEN_LANG=" (glm-gptel-auth--language)))
                  (default-toplevel-value 'process-environment))))
     ,@body))

(defun glm-gptel-auth--parse-json (text)
  "Return the JSON object in TEXT as a plist, or nil when there is none."
  (require 'json)
  (let ((json-object-type 'plist) (json-false :json-false) (json-null nil))
    (ignore-errors
      (let ((value (json-read-from-string text)))
        (and (consp value) value)))))

(defconst glm-gptel-auth--oldest-node "20.19"
  "Version of node that glm-token needs at least, as its package.json has it.")

(defun glm-gptel-auth--node-version (node)
  "Return the version of NODE, a file name, as a string such as \"22.1.0\"."
  (with-temp-buffer
    (ignore-errors (call-process node nil t nil "--version"))
    (goto-char (point-min))
    (if (looking-at "v\\([0-9.]+\\)") (match-string 1) "0")))

(defun glm-gptel-auth--with-node (script beside)
  "Return the command line of node and SCRIPT, a file name.
Of the nodes that are new enough, that is the one in directory BESIDE, which
may be nil, or else the first on variable `exec-path'."
  (cl-loop with old = nil
           for directory in (append (ensure-list beside) exec-path)
           for node = (locate-file "node" (list directory) exec-suffixes
                                   #'file-executable-p)
           for version = (and node (glm-gptel-auth--node-version node))
           when (and node (version<= glm-gptel-auth--oldest-node version))
           return (list node script)
           when node do (setq old (or old (list node version)))
           finally
           (glm-gptel-auth--fail
            (if old
                (glm-gptel-auth--text
                 "%s needs Node %s or later, and %s is version %s"
                 script glm-gptel-auth--oldest-node (car old) (cadr old))
              (glm-gptel-auth--text "cannot find node, which runs glm-token"))
            (glm-gptel-auth--text
             "set `glm-gptel-auth-command' as glm-token setup prints it"))))

(defun glm-gptel-auth--script-p (file)
  "Return non-nil when FILE is a script for node, by its name or first line.
What a package manager puts in its place (pnpm, Volta, asdf, mise) is a
program or a shell script, which finds node and the script by itself."
  (and (file-exists-p file)
       (or (string-match-p "\\.[cm]?js\\'" file)
           (with-temp-buffer
             (ignore-errors (insert-file-contents-literally file nil 0 200))
             (looking-at-p "#!.*[/ \t]node\\(?:[ \t\r]\\|$\\)")))))

(defun glm-gptel-auth--installed-script ()
  "Return where the script of `glm-gptel-auth-install' is, a file name."
  (expand-file-name "glm-token/node_modules/glm-token/dist/cli.cjs"
                    user-emacs-directory))

(defun glm-gptel-auth--configured-program ()
  "Return the value of `glm-gptel-auth-command' as a list of strings.
Expand a leading \"~\" in each, which Emacs does for the program alone."
  (let* ((command (mapcar (lambda (word)
                            (if (file-name-absolute-p word)
                                (expand-file-name word)
                              word))
                          (ensure-list glm-gptel-auth-command)))
         (missing (cl-loop
                   for word in command
                   unless (cond ((file-name-absolute-p word)
                                 (file-exists-p word))
                                ((eq word (car command)) (executable-find word))
                                (t))
                   return word)))
    (when missing
      (glm-gptel-auth--fail
       (glm-gptel-auth--text "cannot find %s" missing)
       (glm-gptel-auth--text "check `glm-gptel-auth-command', or set it to nil \
to have glm-token searched for")))
    command))

(defun glm-gptel-auth--program ()
  "Return the command line of glm-token, a list of strings.
The order is that of `glm-gptel-auth-command'."
  (glm-gptel-auth--globally
    (let* ((found (executable-find "glm-token"))
           (beside (when found (file-name-directory found)))
           (scripts (append
                     (list (expand-file-name "../dist/cli.cjs"
                                             glm-gptel-auth--directory)
                           (glm-gptel-auth--installed-script))
                     ;; npm makes a link to the script, on Windows a .cmd file
                     ;; beside node_modules.
                     (when found
                       (list (expand-file-name
                              "node_modules/glm-token/dist/cli.cjs" beside)
                             (file-truename found)))))
           (script (cl-loop for file in scripts
                            when (glm-gptel-auth--script-p file) return file)))
      (cond (glm-gptel-auth-command (glm-gptel-auth--configured-program))
            (script (glm-gptel-auth--with-node script beside))
            (found (list found))
            (t (require 'glm-gptel-auth-install)
               (glm-gptel-auth--fail
                (glm-gptel-auth--text "cannot find the program glm-token")
                (glm-gptel-auth--how-to-install)))))))

;;;; The helper

(defvar glm-gptel-auth--helper nil
  "The helper's process, or nil when there is none.")

(defun glm-gptel-auth--socket ()
  "Return the file name of the socket to ask, or nil for a helper of our own."
  (when-let* ((socket (or glm-gptel-auth-socket
                          (glm-gptel-auth--getenv "GLM_TOKEN_SOCKET"))))
    (expand-file-name socket "/")))

(defun glm-gptel-auth--open-socket (socket)
  "Return a process that is connected to the helper at SOCKET, a file name.
As the program does, refuse what belongs to another user, who would be
sent passphrases and keys."
  (let ((cure (glm-gptel-auth--text "start the helper (glm-token daemon \
--socket), or log in again with the ssh -R that forwards it"))
        (owner (file-attribute-user-id (file-attributes socket 'integer))))
    (unless (member owner (list nil 0 (user-uid)))
      (glm-gptel-auth--fail
       (glm-gptel-auth--text
        "the socket %s belongs to another user and is not trusted" socket)
       cure))
    (condition-case err
        (make-network-process :name "glm-token" :family 'local :service socket
                              :noquery t :coding 'utf-8-emacs-unix)
      (file-error
       (glm-gptel-auth--fail
        (glm-gptel-auth--text "nothing answers at %s (%s)" socket (nth 2 err))
        cure)))))

(defun glm-gptel-auth--fail-to-start (err)
  "Signal ERR, an error that was caught, as a failure to start glm-token."
  (glm-gptel-auth--fail (glm-gptel-auth--text "cannot start glm-token: %s"
                                              (error-message-string err))
                        nil "doctor"))

(defun glm-gptel-auth--start-process ()
  "Start a helper of our own, and return its process."
  (glm-gptel-auth--globally
    (let ((command (append (glm-gptel-auth--program) '("daemon" "--stdio")
                           (when glm-gptel-auth-lock-after
                             (list (concat "--lock-after="
                                           glm-gptel-auth-lock-after)))))
          (errors (make-pipe-process
                   :name "glm-token errors" :noquery t :sentinel #'ignore
                   :buffer (generate-new-buffer " *glm-token errors*" t)))
          ;; With adaptive buffering a call takes 21 ms instead of 0.3.
          (process-adaptive-read-buffering nil))
      (condition-case err
          (let ((process (make-process :name "glm-token" :command command
                                       :connection-type 'pipe :noquery t
                                       :stderr errors
                                       :coding 'utf-8-emacs-unix)))
            (process-put process 'glm-gptel-auth-errors errors)
            process)
        (file-error (glm-gptel-auth--discard errors)
                    (glm-gptel-auth--fail-to-start err))))))

(defun glm-gptel-auth--framed-p (process string)
  "Return non-nil when STRING, just come from PROCESS, can be JSON-RPC.
Otherwise end PROCESS.  The regexp by which jsonrpc.el searches for a
header can take minutes on noise, and nothing can interrupt it."
  (let* ((header "Content-Length: ")
         (length (min (length header) (length string))))
    (or (> (buffer-size (process-buffer process)) 0) ; In the middle of one.
        (eq t (compare-strings header 0 length string 0 length))
        (progn (process-put process 'glm-gptel-auth-last-words string)
               (delete-process process)
               nil))))

(defun glm-gptel-auth--connect (process)
  "Speak JSON-RPC with PROCESS, a helper, and greet it."
  (apply #'make-instance 'jsonrpc-process-connection
         :name "glm-token" :process process
         :notification-dispatcher
         (lambda (_connection method params)
           (when (eq method 'waiting)
             (glm-gptel-auth--note-waiting process params)))
         ;; Otherwise every reply, tokens included, goes into a buffer.
         (if (slot-exists-p 'jsonrpc-process-connection '-events-buffer-config)
             '(:events-buffer-config (:size 0))
           '(:events-buffer-scrollback-size 0)))
  ;; That of jsonrpc.el speaks in the echo area; who waits sees the end.
  (set-process-sentinel process #'ignore)
  (add-function :before-while (process-filter process)
                #'glm-gptel-auth--framed-p)
  (glm-gptel-auth--send process 'initialize
                        (list :protocol 1 :locale (glm-gptel-auth--language))
                        #'ignore
                        (lambda (err)
                          (process-put process 'glm-gptel-auth-last-words
                                       (plist-get err :message))
                          (delete-process process))))

(defun glm-gptel-auth--live-helper ()
  "Return the helper's process; start or reach it when there is none."
  (let ((socket (glm-gptel-auth--socket)))
    (unless (and (process-live-p glm-gptel-auth--helper)
                 (equal socket (process-get glm-gptel-auth--helper
                                            'glm-gptel-auth-socket)))
      (require 'jsonrpc)
      (glm-gptel-auth--stop-helper)
      (setq glm-gptel-auth--helper
            (if socket (glm-gptel-auth--open-socket socket)
              (glm-gptel-auth--start-process)))
      (process-put glm-gptel-auth--helper 'glm-gptel-auth-socket socket)
      (glm-gptel-auth--connect glm-gptel-auth--helper))
    glm-gptel-auth--helper))

(defun glm-gptel-auth--discard (process)
  "End PROCESS, or nothing when it is nil, and kill its buffer."
  (when process
    (let ((buffer (process-buffer process))
          (kill-buffer-query-functions nil))
      (set-process-sentinel process #'ignore)
      (delete-process process)
      (when (buffer-live-p buffer) (kill-buffer buffer)))))

(defun glm-gptel-auth--stop-helper ()
  "End the helper, if there is one, and kill its buffers."
  (when-let* ((process glm-gptel-auth--helper))
    (setq glm-gptel-auth--helper nil)
    (glm-gptel-auth--discard process)
    (glm-gptel-auth--discard (process-get process 'glm-gptel-auth-errors))
    ;; Those of jsonrpc.el.
    (dolist (name '(" *glm-token stderr*" "*glm-token events*"))
      (when (get-buffer name) (kill-buffer name)))))

(defun glm-gptel-auth-unload-function ()
  "Stop the helper before `unload-feature' forgets it."
  (glm-gptel-auth--stop-helper)
  nil)

;;;; Asking the helper

(defvar glm-gptel-auth--seconds 5
  "How long to wait for an answer, in seconds.")

(defconst glm-gptel-auth--network-seconds 50
  "How long to wait for what asks the service, in seconds.")

(defconst glm-gptel-auth--person-seconds 65
  "How long to wait for a person whom the keychain asks, in seconds.
The program gives up after 60, and says so.")

(defun glm-gptel-auth--note-waiting (process report)
  "Note that PROCESS, a helper, waits for a person, and say so.
REPORT is a plist that names the program of a command, or none, and then it
is the keychain."
  (process-put process 'glm-gptel-auth-waits-until
               (+ (float-time) glm-gptel-auth--person-seconds))
  ;; gptel inhibits messages when it asks for headers without curl.
  (let ((inhibit-message nil)
        (program (plist-get report :program)))
    (if program
        (glm-gptel-auth--say
         "waiting for %s; answer it if it prompts you (C-g to give up)" program)
      (glm-gptel-auth--say "waiting for the keychain; unlock it if it prompts \
you (C-g to give up)"))))

(defun glm-gptel-auth--send (process method params on-result on-error)
  "Send METHOD with PARAMS to PROCESS, a helper, without waiting.
Function ON-RESULT or ON-ERROR is called with the answer."
  ;; Its own time limit is out of the way, beyond all of ours; without any,
  ;; its versions 1.0.22 and 1.0.23 take 10 s for each answer.
  (condition-case nil
      (jsonrpc-async-request (process-get process 'jsonrpc-connection)
                             method (or params (make-hash-table))
                             :timeout 300 :timeout-fn #'ignore
                             :success-fn on-result :error-fn on-error)
    (error (delete-process process))))  ; It has just ended.

(defun glm-gptel-auth--ask (process method params)
  "Return the answer of PROCESS, a helper, to METHOD with PARAMS.
It is a list of `result' or `error' and a plist, or nil when PROCESS ended
or did not answer in time."
  (let* ((inhibit-quit nil)
         (answer nil)
         (late nil)
         (deadline (+ (float-time) (if (memq method '(doctor verify))
                                       glm-gptel-auth--network-seconds
                                     glm-gptel-auth--seconds))))
    (glm-gptel-auth--send process method params
                          (lambda (it) (setq answer (list 'result it)))
                          (lambda (it) (setq answer (list 'error it))))
    (unwind-protect
        (while (not (or answer late))
          ;; Judged before the read, so that an answer which came while Emacs
          ;; was busy or stopped still counts.
          (setq late (or (not (process-live-p process))
                         (> (float-time)
                            (max deadline
                                 (or (process-get process
                                                  'glm-gptel-auth-waits-until)
                                     0)))))
          ;; With any other time or process this can take forever when PROCESS
          ;; closed its output and lives on (Emacs 28, 30).
          (accept-process-output process 0.05 nil t)
          ;; Runs the timer by which jsonrpc.el (Emacs 30) hands on what came.
          (input-pending-p t))
      ;; What a process sent or received last stays in the buffer that Emacs
      ;; converts text in, until the next conversion that is not trivial.
      (decode-coding-string "\xc3\xa4" 'utf-8))
    answer))

(defun glm-gptel-auth--last-words (process)
  "Return what PROCESS, a helper that ended, said of it, a string, or nil.
When node itself fails, one line says why, among others that repeat code."
  (or (process-get process 'glm-gptel-auth-last-words)
      (when-let* ((errors (process-get process 'glm-gptel-auth-errors))
                  (buffer (process-buffer errors))
                  ((buffer-live-p buffer)))
        (while (accept-process-output errors 0.02 nil t))
        (let ((lines (split-string (with-current-buffer buffer (buffer-string))
                                   "\n" t "[ \t\r]+")))
          (or (cl-loop for line in lines
                       when (string-match-p "\\`[A-Za-z]*Error\\b" line)
                       return line)
              (and lines (string-join lines "; ")))))))

(defun glm-gptel-auth--fail-without-answer (process)
  "Signal that PROCESS, a helper, ended or did not answer in time; stop it."
  (let* ((late (process-live-p process))
         (words (and (not late) (glm-gptel-auth--last-words process)))
         (socket (process-get process 'glm-gptel-auth-socket))
         (status (process-exit-status process)))
    (when (eq process glm-gptel-auth--helper) (glm-gptel-auth--stop-helper))
    (glm-gptel-auth--fail
     (cond (late (glm-gptel-auth--text "the helper did not answer in time"))
           (words (glm-gptel-auth--text
                   "the helper ended with status %s (%s)" status
                   (truncate-string-to-width words 200 nil nil "...")))
           (socket (glm-gptel-auth--text "%s was closed without an answer"
                                         socket))
           (t (glm-gptel-auth--text "the helper ended with status %s"
                                    status)))
     nil "doctor")))

(defun glm-gptel-auth--request (method &optional params)
  "Have glm-token do METHOD, a symbol, with PARAMS, a plist.
Return its result, a plist, or signal a failure as `glm-gptel-auth-error'.
A helper that died is started once more, unless METHOD may have been done.
In a command of the user's, ask for the passphrase of the encrypted file
when it is needed."
  (let* ((process (glm-gptel-auth--live-helper))
         (answer (glm-gptel-auth--ask process method params)))
    (unless (or answer (process-live-p process) (memq method '(store delete)))
      (setq process (glm-gptel-auth--live-helper)
            answer (glm-gptel-auth--ask process method params)))
    (pcase answer
      (`(result ,result) result)
      (`(error ,err)
       (let* ((data (plist-get err :data))
              (code (plist-get data :code)))
         (unless (and (equal code "ERR_PASSPHRASE")
                      (glm-gptel-auth--may-ask-p method params))
           (glm-gptel-auth--fail (plist-get err :message) (plist-get data :hint)
                                 (plist-get data :action) code))
         (glm-gptel-auth--ask-passphrase (plist-get params :store))
         (glm-gptel-auth--request method params)))
      (_ (glm-gptel-auth--fail-without-answer process)))))

;;;; The passphrase that a request may need

(defun glm-gptel-auth--may-ask-p (method params)
  "Return non-nil when a prompt is expected in METHOD with PARAMS.
That is in a command of the user's that does not only look.  In a timer, a
filter or a sentinel, a prompt would take what the user is typing; in a
daemon without a frame, it would wait forever."
  (and this-command
       (not inhibit-quit)
       (or noninteractive (not (equal (terminal-name) "initial_terminal")))
       (not (memq method '(accounts unlock)))
       (not (plist-member params :ask))))

(defun glm-gptel-auth--read-secret (prompt)
  "Read a secret with PROMPT; the caller clears it.
Emacs 28 goes on to show the keys typed in \\[view-lossage]."
  (unwind-protect (read-passwd prompt) (clear-this-command-keys)))

(defun glm-gptel-auth--unlock (prompt new store)
  "Read a passphrase with PROMPT, and have the helper unlock with it.
NEW non-nil means to ask for it twice; `read-passwd' by itself would ask for
the second in English.  STORE is a string or nil.  Return nil, or what to say
before the question is asked again."
  (let (first second)
    (unwind-protect
        (progn
          (setq first (glm-gptel-auth--read-secret prompt)
                second (when new (glm-gptel-auth--read-secret
                                  (glm-gptel-auth--text
                                   "Repeat passphrase: "))))
          (if (and new (not (equal first second)))
              (glm-gptel-auth--text "The passphrases do not match. ")
            (glm-gptel-auth--request
             'unlock (append (list :passphrase first)
                             (when store (list :store store))))
            nil))
      (mapc #'clear-string (delq nil (list first second))))))

(defun glm-gptel-auth--ask-passphrase (store)
  "Ask for the passphrase of the encrypted file until the helper accepts it.
STORE is the store that the request names, a string, or nil."
  (let* ((status (glm-gptel-auth--request 'status))
         (new (or (equal "new" (plist-get status :lock))
                  ;; An encrypted file that exists is the store in use.
                  (and store (not (equal store (plist-get status :store))))))
         (question (if new
                       (glm-gptel-auth--text
                        "New passphrase for the GLM encrypted file: ")
                     (glm-gptel-auth--text
                      "Passphrase of the GLM encrypted file: ")))
         (remark "")
         (tries 3))
    (while remark
      (condition-case failure
          (setq remark (glm-gptel-auth--unlock (concat remark question)
                                               new store))
        (glm-gptel-auth-error
         (setq tries (1- tries))
         (unless (and (> tries 0) (equal "ERR_PASSPHRASE" (nth 1 failure)))
           (signal (car failure) (cdr failure)))
         (setq remark (if new (glm-gptel-auth--sentence (nth 2 failure))
                        (glm-gptel-auth--text "Wrong passphrase. "))))))))

;;;; Tokens

(defun glm-gptel-auth--account (&optional host profile)
  "Return a plist of HOST and PROFILE, strings or nil.
PROFILE is `glm-gptel-auth-profile' by default.  What is set nowhere is
absent, so that glm-token decides."
  (let ((profile (or profile glm-gptel-auth-profile)))
    (append (when host (list :host host))
            (when profile (list :profile profile)))))

(defun glm-gptel-auth--print (params)
  "Return what `glm-token print' prints for PARAMS, a plist with a token."
  (glm-gptel-auth--globally
    (let* ((inhibit-quit nil)
           (command (append (glm-gptel-auth--program)
                            '("print" "--format=json")
                            (cl-loop for (key value) on params by #'cddr
                                     collect (format "--%s=%s"
                                                     (substring (symbol-name key)
                                                                1)
                                                     value))))
           (coding-system-for-read 'utf-8-unix)
           status reports)
      (with-temp-buffer
        (setq status (condition-case err
                         (apply #'call-process (car command) nil t nil
                                (cdr command))
                       (file-error (glm-gptel-auth--fail-to-start err)))
              reports (mapcar #'glm-gptel-auth--parse-json
                              (split-string (buffer-string) "\n" t))))
      ;; Node can put warnings between the lines.
      (cl-loop for report in reports
               for failure = (plist-get report :error)
               when (plist-get report :token) return report
               when failure do (glm-gptel-auth--fail
                                (plist-get failure :message)
                                (plist-get failure :hint)
                                (plist-get failure :action)
                                (plist-get failure :code))
               finally (glm-gptel-auth--fail
                        (glm-gptel-auth--text "glm-token ended with status %s"
                                              status)
                        nil "doctor")))))

(defvar glm-gptel-auth--look nil
  "Function that is called for each token in place of glm-token, or nil.
It gets an account, a plist, and asks nobody for anything.")

(defun glm-gptel-auth--token (params &optional info)
  "Return a fresh token, a string of bytes, for PARAMS, a plist.
These are an account, and perhaps a lifetime, `:ttl'.  When there is none,
remove the request that gptel has begun; INFO is its plist, if it is known."
  (let (token)
    (unwind-protect
        (setq token
              (plist-get
               (cond (glm-gptel-auth--look
                      (funcall glm-gptel-auth--look params))
                     ((and glm-gptel-auth-plain
                           (not (glm-gptel-auth--socket)))
                      (glm-gptel-auth--print params))
                     (t (glm-gptel-auth--request 'token params)))
               :token))
      (unless token (glm-gptel-auth--abandon info)))
    (unless (and (stringp token)
                 (string-match-p
                  "\\`[-A-Za-z0-9_]+\\(?:\\.[-A-Za-z0-9_]+\\)\\{2\\}\\'" token))
      (glm-gptel-auth--fail (glm-gptel-auth--text "glm-token gave no token")
                            nil "doctor"))
    ;; In a header, a multibyte string makes url.el refuse a body that is not
    ;; ASCII, and show the token with it.
    (string-to-unibyte token)))

;;;###autoload
(defun glm-gptel-auth-token (&optional host profile lifetime)
  "Return a fresh token, a string, for HOST and PROFILE, strings.
PROFILE is `glm-gptel-auth-profile' by default; what is set nowhere, the
default of glm-token.  LIFETIME is a string such as \"1h\", by default 3
minutes: enough for a request at once, not for a package that keeps the
token.  If no token is available, signal a `user-error' naming the fix."
  (glm-gptel-auth--with-user-errors
    (glm-gptel-auth--token (append (glm-gptel-auth--account host profile)
                                   (when lifetime (list :ttl lifetime))))))

;;;; gptel's header

(defun glm-gptel-auth--abandon (info)
  "Remove the request that gptel has begun, and leave gptel ready.
INFO is its plist, or nil.  Since gptel 0.9.9.5, a curl process waits for
headers in the current buffer, and would wait forever.  In a tool loop,
the request before it is still listed, unless the tool is asynchronous."
  (when-let* ((process (get-buffer-process (current-buffer)))
              ((string-prefix-p "gptel-curl" (process-name process))))
    (set-process-filter process #'ignore)
    (glm-gptel-auth--discard process))
  ;; Other versions of gptel may keep their requests in another way.
  (ignore-errors
    (when-let* ((buffer (plist-get info :buffer))
                (ours-p (lambda (fsm) (eq info (gptel-fsm-info fsm)))))
      (let ((entry (cl-loop for entry in gptel--request-alist
                            when (funcall ours-p (cadr entry)) return entry))
            (last (buffer-local-value 'gptel--fsm-last buffer)))
        (cond (entry
               (setq gptel--request-alist (delq entry gptel--request-alist))
               ;; It aborts the newest of the buffer.
               (let ((gptel--request-alist (list entry))) (gptel-abort buffer)))
              ((and last (funcall ours-p last))
               (gptel--fsm-transition last 'ABRT)))))))

;;;###autoload
(defun glm-gptel-auth-header (&optional info key-host profile)
  "Return the header of a GLM request, an alist, with a token signed for it.
For gptel's `:header'.  INFO is gptel's plist about the request, or nil
as before gptel 0.9.9.5.  The key is that of KEY-HOST and PROFILE, strings,
which default to the backend's host and to `glm-gptel-auth-profile'.

When there is no token, remove the request that gptel has begun and
signal a `user-error' that says what to do."
  (let* ((backend (or (plist-get info :backend) (bound-and-true-p gptel-backend)))
         (buffer (plist-get info :buffer))
         ;; gptel asks for headers in a buffer of curl's.
         (account (with-current-buffer (if (buffer-live-p buffer) buffer
                                         (current-buffer))
                    (glm-gptel-auth--account
                     (or key-host (and backend (gptel-backend-host backend)))
                     profile)))
         (token (glm-gptel-auth--with-user-errors
                  (glm-gptel-auth--token account info))))
    (when info
      (plist-put info :glm-gptel-auth account)
      (unless (memq #'glm-gptel-auth--explain-error (plist-get info :post))
        (plist-put info :post (cons #'glm-gptel-auth--explain-error
                                    (plist-get info :post)))))
    `(("Authorization" . ,(concat "Bearer " token)))))

(defun glm-gptel-auth--explain-error (&rest args)
  "Explain the service error that a gptel request met, and name its cure.
For `:post' of a gptel request.  ARGS is gptel's plist about the request;
gptel 0.9.9.3 passes two positions, and then nothing is said.  Nor is it
when glm-token does not know the code, or cannot be asked."
  (when-let* ((info (car args))
              ((consp info))
              (account (plist-get info :glm-gptel-auth))
              (err (plist-get info :error))
              (code (or (and (consp err) (plist-get err :code))
                        (plist-get info :http-status)))
              ((not glm-gptel-auth-plain)))
    ;; Not here, where \\[keyboard-quit] would skip the rest of gptel's
    ;; sentinel.
    (run-at-time
     0 nil
     (lambda ()
       (when-let* ((answer (ignore-error glm-gptel-auth-error
                             (glm-gptel-auth--request
                              'explain (append account
                                               (list :code
                                                     (format "%s" code))))))
                   (message (plist-get answer :message)))
         (message "%s" (glm-gptel-auth--text
                        "GLM %s (%s): %s: %s" code
                        ;; It is repeated, since this covers it.
                        (if (consp err) (plist-get err :message) err)
                        (glm-gptel-auth--describe account)
                        (glm-gptel-auth--with-cure
                         message (plist-get answer :action)
                         (plist-get answer :hint)))))))))

;;;; gptel's backend

(defcustom glm-gptel-auth-models
  (let ((text '(:capabilities (tool-use json reasoning)))
        (images '(:capabilities (tool-use reasoning media)
                  :mime-types ("image/jpeg" "image/png"))))
    `((glm-5.3 :context-window 1000 ,@text)
      (glm-5.3-flash :context-window 1000
                     :capabilities (tool-use json reasoning media)
                     :mime-types ("image/jpeg" "image/png"))
      (glm-5.2 :context-window 1000 ,@text)
      (glm-5.1 :context-window 200 ,@text)
      (glm-5 :context-window 200 ,@text)
      (glm-5-turbo :context-window 200 ,@text)
      (glm-5v-turbo :context-window 200 ,@images)
      (glm-4.7 :context-window 200 ,@text)
      (glm-4.7-flash :context-window 200 ,@text)
      (glm-4.7-flashx :context-window 200 ,@text)
      (glm-4.6 :context-window 200 ,@text)
      (glm-4.6v :context-window 128 ,@images)
      (glm-4.5-air :context-window 128 ,@text)
      (glm-4.5-flash :context-window 128 ,@text)))
  "GLM models and what gptel wants to know of them; windows in 1000 tokens.
Windows and abilities are those of https://models.dev (July 2026), for
glm-5.3 and glm-5.3-flash of https://docs.z.ai/guides/llm/glm-5.3 as
https://vercel.com/ai-gateway/models repeats it, for glm-4.7-flashx of
https://docs.z.ai/guides/llm/glm-4.7 and for glm-4.6v of
https://docs.z.ai/guides/vlm/glm-4.6v.  Prices are left out: they differ
by host and change."
  :type '(repeat (cons symbol plist)))

(defconst glm-gptel-auth-coding-models
  `((glm-5.4 :context-window 1000
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
Each element is (BACKEND HOST PROFILE): the backend, and the account whose
key signs, two strings, of which PROFILE may be nil.")

(defun glm-gptel-auth--our-host-p (host)
  "Return non-nil when HOST, a string, is one that we have tokens for.
That is one of `glm-gptel-auth-hosts', or what a backend's `:key-host' names.
Upper and lower case are the same."
  (assoc-string host (append glm-gptel-auth-hosts
                             (mapcar #'cadr glm-gptel-auth--backends))
                t))

(defun glm-gptel-auth--thinking (thinking coding-plan)
  "Return the request parameters, a plist, for THINKING and CODING-PLAN.
These are as in `glm-gptel-auth-make-backend', THINKING `default' when it is
not given."
  (cond ((null thinking) '(:thinking (:type "disabled")))
        ((not coding-plan)
         '(:thinking (:type "enabled" :clear_thinking :json-false)))
        ((eq thinking t) '(:thinking (:type "enabled")))))

(defun glm-gptel-auth--curl-args (args)
  "Return arguments for curl, ARGS of the user's among them.
ARGS is a list of strings, or a function that returns one.  Behind a proxy,
gptel reads the proxy's own 200 as the service's, and shows each error as
an empty answer.  It counts the proxy's headers, so that an answer which is
not streamed could not be read without them."
  (if (not (fboundp 'gptel--maybe-funcall)) ; Before gptel 0.9.9.5.
      args
    (lambda ()
      (append (when gptel-stream '("--suppress-connect-headers"))
              (if (functionp args) (funcall args) args)))))

;;;###autoload
(cl-defun glm-gptel-auth-make-backend
    (name &rest args &key (host (car glm-gptel-auth-hosts)) key-host profile
          coding-plan (stream t) effort (thinking 'default) request-params
          curl-args endpoint &allow-other-keys)
  "Register a GLM backend for gptel with NAME, a string, and return it.

HOST is the first of `glm-gptel-auth-hosts' by default; \"api.z.ai\" is the
international endpoint.  KEY-HOST and PROFILE name the key that signs, by
default that of HOST and of `glm-gptel-auth-profile' at the time of the
request.  KEY-HOST is for a proxy or gateway of your own at HOST, which is
sent the token.  All of these are strings.

CODING-PLAN non-nil selects the endpoint and the models of the GLM Coding
Plan.  Beware: its terms name the tools that it may be used with, and gptel
may not be one of them; a key can be suspended for other use.

EFFORT is the symbol low, high or max, for glm-5.2 and later.  THINKING is t
or nil, for models before glm-5.3; by default it is t at the pay-as-you-go
endpoint.  With STREAM, t by default, arguments of tools are streamed too.
ENDPOINT is another path, to which nothing about tools or thinking is sent
by default.

REQUEST-PARAMS, a plist, takes precedence over what all of that would send.
CURL-ARGS are further arguments for curl.  ARGS are any other keywords of
`gptel-make-openai', such as `:models', by default `glm-gptel-auth-models'."
  (declare (indent 1))
  (glm-gptel-auth--with-user-errors
    (unless (require 'gptel nil t)
      (glm-gptel-auth--fail
       (glm-gptel-auth--text
        "gptel is not installed; run M-x package-install RET gptel")))
    (unless (and (stringp host) (string-match-p "\\`[^/ \t\n]+\\'" host))
      (glm-gptel-auth--fail
       (glm-gptel-auth--text ":host is a string such as \"api.z.ai\", \
without https:// and path"))))
  (require 'gptel-openai-extras nil t)
  (let* ((params (append
                  (when effort
                    (list :reasoning_effort (format "%s" effort)))
                  ;; Another endpoint need not know what this one documents.
                  (unless (and endpoint (eq thinking 'default))
                    (glm-gptel-auth--thinking thinking coding-plan))
                  (when (and stream (not endpoint)) (list :tool_stream t))))
         (params (cl-loop for (key value) on request-params by #'cddr
                          do (setq params (plist-put params key value))
                          finally return params))
         (options (cl-loop for (key value) on args by #'cddr
                           unless (memq key '(:profile :host :key-host
                                              :coding-plan :effort :thinking
                                              :request-params :curl-args))
                           append (list key value)))
         (backend
          (apply (if (fboundp 'gptel-make-deepseek)
                     #'gptel-make-deepseek ; As gptel's NEWS says of GLM.
                   #'gptel-make-openai)
                 name
                 (append options
                         ;; Of bytes, as the token is; it can be from JSON.
                         (list :host (encode-coding-string host 'utf-8)
                               :endpoint (if coding-plan
                                             "/api/coding/paas/v4/chat/completions"
                                           "/api/paas/v4/chat/completions")
                               :stream t
                               :models (if coding-plan
                                           glm-gptel-auth-coding-models
                                         glm-gptel-auth-models)
                               :request-params params
                               :curl-args (glm-gptel-auth--curl-args curl-args)
                               :header (lambda (&optional info)
                                         (glm-gptel-auth-header
                                          info key-host profile)))))))
    (push (list backend (or key-host host) profile) glm-gptel-auth--backends)
    backend))

;;;; Which account a command is for

(defun glm-gptel-auth--complete-account (host profile)
  "Return the account of HOST and PROFILE, strings or nil, a plist.
What is set nowhere is the default of glm-token."
  (let ((account (glm-gptel-auth--account host profile))
        (default (plist-get (glm-gptel-auth--request 'status) :default)))
    (cl-loop for key in '(:host :profile)
             append (list key (or (plist-get account key)
                                  (plist-get default key))))))

(defun glm-gptel-auth--read-account ()
  "Return a list of the host and the profile that a command is for.
They are those of the current gptel backend if its host is ours, else the
default.  With a prefix argument, ask for them."
  (glm-gptel-auth--with-user-errors
    (let* ((backend (bound-and-true-p gptel-backend))
           (made (assq backend glm-gptel-auth--backends))
           (host (if made (nth 1 made)
                   (and backend
                        (glm-gptel-auth--our-host-p (gptel-backend-host backend))
                        (gptel-backend-host backend))))
           (account (glm-gptel-auth--complete-account host (nth 2 made)))
           (host (plist-get account :host))
           (profile (plist-get account :profile)))
      (if (not current-prefix-arg) (list host profile)
        (list (completing-read
               (glm-gptel-auth--text "Host (default %s): " host)
               glm-gptel-auth-hosts nil nil nil nil host)
              (read-string
               (glm-gptel-auth--text "Profile (default %s): " profile)
               nil nil profile))))))

(defun glm-gptel-auth--describe (account)
  "Return a description of ACCOUNT, a plist, to use in a sentence."
  (let ((host (or (plist-get account :host)
                  (glm-gptel-auth--text "the default host")))
        (profile (plist-get account :profile)))
    (if (member profile '(nil "default")) host
      (glm-gptel-auth--text "%s (profile %s)" host profile))))

;;;; Storing and deleting

(defun glm-gptel-auth--forget ()
  "Make auth-source forget what it found, and what it did not find."
  (when (featurep 'auth-source) (auth-source-forget-all-cached)))

(defun glm-gptel-auth--store (params)
  "Store as PARAMS say, a plist, and return what glm-token answers, a plist.
Where an encrypted file is the cure, store there if the user agrees; ask
before another key is replaced, or when the host may be mistyped."
  (let ((answer
         (condition-case failure
             (glm-gptel-auth--request 'store params)
           (glm-gptel-auth-error
            (unless (and (equal "file" (nth 4 failure))
                         (y-or-n-p
                          (concat (glm-gptel-auth--sentence (nth 2 failure))
                                  (glm-gptel-auth--text
                                   "Keep keys in an encrypted file instead? "))))
              (signal (car failure) (cdr failure)))
            (setq params (append params '(:store "file")))
            (glm-gptel-auth--request 'store params)))))
    (unless (or (eq t (plist-get answer :stored))
                (not (y-or-n-p
                      (if (plist-get answer :problem)
                          (concat (glm-gptel-auth--sentence
                                   (plist-get answer :problem))
                                  (glm-gptel-auth--text
                                   "Go on with %s? " (plist-get answer :host)))
                        (glm-gptel-auth--text
                         "A different key (%s) is stored for %s; replace it? "
                         (or (plist-get answer :existing)
                             (glm-gptel-auth--text "not well-formed"))
                         (glm-gptel-auth--describe answer))))))
      (setq answer (glm-gptel-auth--request
                    'store (append params '(:replace t)))))
    (glm-gptel-auth--forget)
    answer))

(defun glm-gptel-auth--read-and-store (account prompt store)
  "Read a key for ACCOUNT, a plist, with PROMPT, store it, and clear it.
STORE is where to, a string, or nil for the store in use.  Ask before
another key is replaced.  Return what glm-token answers, a plist."
  (let ((key (glm-gptel-auth--read-secret prompt)))
    (unwind-protect
        (glm-gptel-auth--store (append account (list :key key)
                                       (when store (list :store store))))
      (clear-string key))))

(defun glm-gptel-auth--read-command ()
  "With a prefix argument, ask for a command; return a list of its words.
Return nil when none prints the key.  The history does not keep the answer,
which may be a key that was pasted by mistake."
  (when (and current-prefix-arg
             (y-or-n-p (glm-gptel-auth--text "Does a command print the key, \
as of a password manager? ")))
    (split-string-shell-command
     (read-shell-command (glm-gptel-auth--text "Command that prints the key: ")
                         nil t))))

;;;###autoload
(defun glm-gptel-auth-store (&optional host profile command)
  "Ask for an API key and store it for HOST and PROFILE, strings or nil.
They default to those of the current gptel backend, else to the default of
glm-token.

COMMAND, a list of strings, is a program with its arguments that prints the
key, such as that of a password manager.  It is kept in place of the key, and
run without a shell when the key is needed; it must hold no secret.

With a prefix argument, ask for all of them, and whether there is a COMMAND."
  (interactive (append (glm-gptel-auth--read-account)
                       (list (glm-gptel-auth--read-command))))
  (glm-gptel-auth--with-user-errors
    (let* ((account (glm-gptel-auth--complete-account host profile))
           (title (glm-gptel-auth--describe account))
           (answer (if command
                       (glm-gptel-auth--store
                        (append account (list :command (vconcat command))))
                     (glm-gptel-auth--read-and-store
                      account
                      (glm-gptel-auth--text "API key (ID.SECRET) for %s: "
                                            title)
                      nil))))
      (cond ((plist-get answer :problem)
             (glm-gptel-auth--say "nothing was stored"))
            ((not (eq t (plist-get answer :stored)))
             (glm-gptel-auth--say "kept the key for %s" title))
            (command
             (glm-gptel-auth--say "the key for %s comes from %s from now on"
                                  title (file-name-nondirectory (car command))))
            (t (glm-gptel-auth--say "stored the key for %s in %s" title
                                    (plist-get answer :title)))))))

;;;###autoload
(defun glm-gptel-auth-delete (&optional host profile)
  "Delete the key stored for HOST and PROFILE, strings or nil, after asking.
They default to those of the current gptel backend, else to the default of
glm-token.  With a prefix argument, ask for them too."
  (interactive (glm-gptel-auth--read-account))
  (glm-gptel-auth--with-user-errors
    (let* ((account (glm-gptel-auth--complete-account host profile))
           (title (glm-gptel-auth--describe account)))
      (when (y-or-n-p (glm-gptel-auth--text "Delete the key stored for %s? "
                                            title))
        (let ((answer (glm-gptel-auth--request 'delete account)))
          (glm-gptel-auth--forget)
          (if (eq t (plist-get answer :deleted))
              (glm-gptel-auth--say "deleted the key for %s" title)
            (glm-gptel-auth--say "no key is stored for %s" title)))))))

;;;; Looking after the helper

;;;###autoload
(defun glm-gptel-auth-restart ()
  "Restart the helper, or connect again to the one on a socket."
  (interactive)
  (glm-gptel-auth--stop-helper)
  (glm-gptel-auth--with-user-errors
    (let ((status (glm-gptel-auth--request 'status)))
      (glm-gptel-auth--say "the helper answers again (glm-token %s, process %s)"
                           (plist-get status :version)
                           (plist-get status :pid)))))

;;;###autoload
(defun glm-gptel-auth-unlock ()
  "Unlock the encrypted file: ask for its passphrase, for the helper to keep.
The OS keychain asks by itself."
  (interactive)
  (glm-gptel-auth--with-user-errors
    (when (equal "locked" (plist-get (glm-gptel-auth--request 'status) :lock))
      (glm-gptel-auth--ask-passphrase nil))
    (glm-gptel-auth--say "no encrypted file is locked now")))

;;;###autoload
(defun glm-gptel-auth-lock ()
  "Lock the encrypted file: make the helper forget its passphrase and keys.
These are the keys that commands printed.  A helper on a socket forgets
all that for everyone whom it serves.  The OS keychain is not changed:
lock it with its own program."
  (interactive)
  ;; A helper on a socket outlives the connection, so it has to be told.  One
  ;; of our own ends, since one that hangs could not be told.
  (when (glm-gptel-auth--socket)
    (glm-gptel-auth--with-user-errors (glm-gptel-auth--request 'lock)))
  (glm-gptel-auth--stop-helper)
  (glm-gptel-auth--say "helper locked; the system keychain is locked \
separately"))

;;;; Status

(defun glm-gptel-auth--show (buffer title rows refresh)
  "Show TITLE and ROWS in the buffer named BUFFER, and go there.
Each row is a pair of a name and a text.  REFRESH is a function that
`revert-buffer' calls there."
  (with-current-buffer (get-buffer-create buffer)
    (special-mode)
    (setq-local revert-buffer-function (lambda (&rest _) (funcall refresh)))
    (let ((inhibit-read-only t)
          (margin (concat "\n" (make-string 12 ?\s))))
      (erase-buffer)
      (insert (propertize title 'face 'bold) "\n\n")
      (pcase-dolist (`(,name . ,text) rows)
        (insert (propertize (format "%-12s" name) 'face 'shadow)
                (string-replace "\n" margin text) "\n"))
      (goto-char (point-min)))
    (pop-to-buffer (current-buffer))))

(defun glm-gptel-auth--describe-store (status accounts)
  "Return a description, a string, of the store in STATUS, the helper's plist.
ACCOUNTS is a plist too, or a string that says why it cannot be listed."
  (let* ((title (plist-get status :title))
         (store (pcase (plist-get status :lock)
                  ("locked" (glm-gptel-auth--text "%s, locked" title))
                  ("unlocked" (glm-gptel-auth--text "%s, unlocked" title))
                  ("new" (glm-gptel-auth--text "%s, not created yet" title))
                  ((guard (stringp accounts))
                   (glm-gptel-auth--text "%s, not available now" title))
                  (_ title))))
    (if (eq t (plist-get status :environment))
        (glm-gptel-auth--text "%s; GLM_API_KEY is set and takes precedence"
                              store)
      store)))

(defun glm-gptel-auth--describe-accounts (answer)
  "Return a description, a string, of the accounts in ANSWER, a plist."
  (if (zerop (length (plist-get answer :accounts)))
      (glm-gptel-auth--text "none")
    (mapconcat (lambda (account)
                 (glm-gptel-auth--text
                  "%s: %s (%s)"
                  (glm-gptel-auth--describe account)
                  (cond ((plist-get account :id))
                        ((plist-get account :program))
                        ((eq t (plist-get account :locked))
                         (glm-gptel-auth--text "locked"))
                        (t (glm-gptel-auth--text "not an API key")))
                  (plist-get account :store)))
               (plist-get answer :accounts) "\n")))

(defun glm-gptel-auth--try (method)
  "Return the result of METHOD, or the message of its failure."
  (condition-case failure (glm-gptel-auth--request method)
    (glm-gptel-auth-error (glm-gptel-auth--failure-text failure))))

(defun glm-gptel-auth--status-rows ()
  "Return the rows of the status buffer, a list of pairs."
  (let* ((status (glm-gptel-auth--try 'status))
         (accounts (glm-gptel-auth--try 'accounts))
         (socket (glm-gptel-auth--socket)))
    `((,(glm-gptel-auth--text "Tokens")
       . ,(cond (socket (glm-gptel-auth--text "from the helper at %s" socket))
                (glm-gptel-auth-plain
                 (glm-gptel-auth--text "from a process for each of them"))
                (t (glm-gptel-auth--text "from a helper that stays"))))
      (,(glm-gptel-auth--text "Helper")
       . ,(if (stringp status) status
            (glm-gptel-auth--text
             "process %d, glm-token %s, %d tokens" (plist-get status :pid)
             (plist-get status :version) (plist-get status :tokens))))
      (,(glm-gptel-auth--text "Store")
       . ,(if (stringp status) (glm-gptel-auth--text "unknown")
            (glm-gptel-auth--describe-store status accounts)))
      (,(glm-gptel-auth--text "Accounts")
       . ,(if (stringp accounts) accounts
            (glm-gptel-auth--describe-accounts accounts)))
      (,(glm-gptel-auth--text "Program")
       . ,(condition-case failure (string-join (glm-gptel-auth--program) " ")
            (glm-gptel-auth-error (glm-gptel-auth--failure-text failure))))
      (,(glm-gptel-auth--text "Versions")
       . ,(glm-gptel-auth--text "glm-gptel-auth %s, Emacs %s"
                                glm-gptel-auth-version emacs-version)))))

;;;###autoload
(defun glm-gptel-auth-status ()
  "Show a summary of the helper and what it serves; no secret."
  (interactive)
  (glm-gptel-auth--show "*glm-token status*"
                        (glm-gptel-auth--text "GLM token status")
                        (glm-gptel-auth--status-rows) #'glm-gptel-auth-status))

(provide 'glm-gptel-auth)
;;; glm-gptel-auth.el ends here
