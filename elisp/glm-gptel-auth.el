;;; glm-gptel-auth.el --- Fresh GLM tokens for gptel, keys in the OS keychain  -*- lexical-binding: t; -*-

;; Copyright (C) 2026 The glm-token developers

;; Author: The glm-token developers
;; Maintainer: The glm-token developers
;; Version: 0.1.0
;; Package-Requires: ((emacs "28.1"))
;; Keywords: comm, tools
;; URL: https://www.npmjs.com/package/glm-token
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

;; The GLM service (open.bigmodel.cn, and api.z.ai abroad) takes short-lived
;; tokens that are signed with an API key.  The program `glm-token' keeps the
;; key in the OS keychain and signs; this file asks it for a fresh token for
;; every single request, in about a millisecond, and hands it to gptel.
;;
;;   (require 'glm-gptel-auth)
;;   (setq gptel-backend (glm-gptel-auth-make-backend "GLM")
;;         gptel-model 'glm-5.3)
;;
;; Save a key with M-x glm-gptel-auth-store.  Nothing here keeps a key or a
;; token.  When there is no token, there is no request: gptel is left as it
;; was, and one sentence says what to do.

;;; Code:

(require 'cl-lib)
(require 'subr-x)

(declare-function jsonrpc-async-request "jsonrpc")
(declare-function jsonrpc-name "jsonrpc" t t)
(declare-function make-instance "eieio")
(declare-function slot-exists-p "eieio")
(declare-function gptel-backend-host "ext:gptel-request" t t)
(declare-function gptel-make-deepseek "ext:gptel-openai-extras")
(declare-function gptel-make-openai "ext:gptel-openai")
(declare-function gptel-fsm-info "ext:gptel-request" t t)
(declare-function auth-source-backend-parse-parameters "auth-source")
(declare-function auth-source-forget-all-cached "auth-source")
(declare-function auth-source-search "auth-source")
(declare-function lm-header "lisp-mnt")
(defvar gptel-backend)
(defvar gptel-log-level)
(defvar auth-sources)
(defvar auth-source-do-cache)

;;;; Options

(defconst glm-gptel-auth-version "0.1.0"
  "Version of this file; that of glm-token should be the same.")

(defgroup glm-gptel-auth nil
  "Fresh GLM tokens for gptel and auth-source."
  :group 'comm
  :prefix "glm-gptel-auth-")

(defcustom glm-gptel-auth-profile "default"
  "Which of several keys for one host to use, a string."
  :type 'string)

(defcustom glm-gptel-auth-host nil
  "Host whose key signs the tokens, a string, or nil.
With nil, it is the host of the backend that makes the request.  Set
this only when requests go through a proxy or gateway of your own, for
then a token of this host is sent to wherever the backend points."
  :type '(choice (const :tag "That of the backend" nil) string))

(defcustom glm-gptel-auth-hosts '("open.bigmodel.cn" "api.z.ai")
  "Hosts whose keys glm-token keeps, a list of strings.
`auth-source-search' for any other host costs nothing; hosts of backends
made with `glm-gptel-auth-make-backend' count too."
  :type '(repeat string))

(defcustom glm-gptel-auth-command nil
  "How to call glm-token, a string, a list of strings, or nil.
A string is the program; a list is the program and its first arguments,
for example absolute paths of node and of the script.  With nil, it is
looked for beside this file and on variable `exec-path'."
  :type '(choice (const :tag "Look for it" nil)
                 (string :tag "Program")
                 (repeat :tag "Program and arguments" string)))

(defcustom glm-gptel-auth-transport 'helper
  "How to ask for a token, a symbol.
`helper' keeps one process that answers in about a millisecond;
`process' starts a program for each token, in about a tenth of a second."
  :type '(choice (const :tag "One helper for all" helper)
                 (const :tag "One process a token" process)))

(defcustom glm-gptel-auth-lock-after nil
  "When the helper locks the encrypted key file, a string, or nil.
It is how long nobody asks for a token, such as \"15m\", \"2h\" or \"1d\";
with nil, 15 minutes.  It takes effect with the next helper.  The OS
keychain has a lock of its own."
  :type '(choice (const :tag "After 15 minutes" nil) string))

(defcustom glm-gptel-auth-timeout 5
  "How long to wait for an answer, in seconds.
While the keychain waits for you to unlock it, the wait is longer."
  :type 'number)

;;;; Errors

(define-error 'glm-gptel-auth--failure "GLM token")
(define-error 'glm-gptel-auth--broken "GLM token helper broken")

(defconst glm-gptel-auth--cures
  '(("ERR_INTERNAL" . nil)
    ("ERR_USAGE" . nil)
    ("ERR_KEY_NOT_FOUND" . "store it with M-x glm-gptel-auth-store")
    ("ERR_KEY_MALFORMED" . "store it with M-x glm-gptel-auth-store")
    ("ERR_STORE_UNAVAILABLE" . nil)
    ("ERR_STORE_LOCKED" . "unlock it and try again")
    ("ERR_PASSPHRASE" . "try again, and type the passphrase of the key file")
    ("ERR_STORE_CORRUPT" . nil)
    ("ERR_DAEMON" . "try M-x glm-gptel-auth-restart")
    ("ERR_NETWORK" . nil))
  "What to do in Emacs about each error code of glm-token.
Where it is nil, the program's own hint is as good.")

(defun glm-gptel-auth--fail (code message &optional cure)
  "Signal a failure with CODE and MESSAGE, and CURE or what is known of CODE.
All are strings; CURE may be nil."
  (let ((cure (or cure (cdr (assoc code glm-gptel-auth--cures)))))
    (signal 'glm-gptel-auth--failure
            (list code (if cure (format "%s; %s" message cure) message)))))

(defun glm-gptel-auth--relay-failure (code message hint)
  "Signal what glm-token said: CODE, MESSAGE and HINT, strings or nil.
What there is to do in Emacs goes before the program's own hint."
  (glm-gptel-auth--fail code message
                        (or (cdr (assoc code glm-gptel-auth--cures)) hint)))

(defmacro glm-gptel-auth--with-user-errors (&rest body)
  "Evaluate BODY, with our own failures signalled as a `user-error'."
  (declare (indent 0) (debug t))
  `(condition-case failure
       (progn ,@body)
     (glm-gptel-auth--failure (user-error "GLM: %s" (nth 2 failure)))))

;;;; Finding the program

(defconst glm-gptel-auth--directory
  (file-name-directory
   (file-truename (or load-file-name buffer-file-name default-directory)))
  "The folder that this file was loaded from.")

(defconst glm-gptel-auth--node-places
  '("/opt/homebrew/bin" "/usr/local/bin" "~/.volta/bin" "~/.local/bin"
    "~/.local/share/mise/shims" "~/.asdf/shims" "~/.nvm/versions/node/*/bin"
    "~/.local/share/fnm/aliases/default/bin" "~/n/bin"
    "C:/Program Files/nodejs")
  "Where node may be when a desktop started Emacs with a short PATH.")

(defun glm-gptel-auth--local-directory ()
  "Return a folder on this machine that exists, whatever the buffer's is."
  (file-name-as-directory (expand-file-name "/")))

(defun glm-gptel-auth--find-node (&optional beside)
  "Return the absolute name of node, or nil.
BESIDE is a folder to look into too, or nil."
  (let ((default-directory (glm-gptel-auth--local-directory)))
    (or (executable-find "node")
        (locate-file "node"
                     (delq nil
                           (cons beside
                                 (cl-loop for place in glm-gptel-auth--node-places
                                          append (nreverse
                                                  (file-expand-wildcards place t)))))
                     exec-suffixes #'file-executable-p))))

(defun glm-gptel-auth--find-script ()
  "Return the absolute name of glm-token's script, or nil.
It is beside this file in the npm package and in a checkout; else it is
what the command on variable `exec-path' stands for."
  (let* ((default-directory (glm-gptel-auth--local-directory))
         (packed (expand-file-name "../dist/cli.cjs" glm-gptel-auth--directory))
         (command (executable-find "glm-token"))
         (folder (and command (file-name-directory command))))
    (cond ((file-exists-p packed) packed)
          ((null command) nil)
          ;; On Windows npm makes a .cmd file beside the package's folder.
          ((string-suffix-p ".cmd" command t)
           (expand-file-name "node_modules/glm-token/dist/cli.cjs" folder))
          (t (file-truename command)))))

(defun glm-gptel-auth--program ()
  "Return the command line of glm-token, a list of strings."
  (cond
   (glm-gptel-auth-command
    (let ((default-directory (glm-gptel-auth--local-directory))
          (command (ensure-list glm-gptel-auth-command)))
      (unless (executable-find (car command))
        (glm-gptel-auth--fail "ERR_DAEMON"
                              (format "cannot find %s" (car command))
                              "check `glm-gptel-auth-command'"))
      command))
   (t
    (let* ((script (or (glm-gptel-auth--find-script)
                       (glm-gptel-auth--fail
                        "ERR_DAEMON" "the program glm-token is not found"
                        "install it with: npm install -g glm-token")))
           (command (executable-find "glm-token"))
           (node (glm-gptel-auth--find-node
                  (and command (file-name-directory command)))))
      (list (or node
                (glm-gptel-auth--fail
                 "ERR_DAEMON" "node, which runs glm-token, is not found"
                 "set `glm-gptel-auth-command' as glm-token setup prints it"))
            script)))))

;;;; Waiting

(defmacro glm-gptel-auth--before (deadline &rest body)
  "Evaluate BODY and return its value, or `late' once DEADLINE has passed.
DEADLINE is a form whose value, a time in seconds, may grow meanwhile.

A timer watches it, since `accept-process-output' disregards its own
time limit when a process closed its output and lives on (Emacs 28, 30)."
  (declare (indent 1) (debug t))
  (let ((timer (gensym "timer")))
    `(let* ((inhibit-quit nil)
            (,timer (run-at-time 0.1 0.1
                                 (lambda ()
                                   (when (> (float-time) ,deadline)
                                     (throw 'glm-gptel-auth--late 'late))))))
       (unwind-protect (catch 'glm-gptel-auth--late ,@body)
         (cancel-timer ,timer)))))

;;;; One process a token

(defconst glm-gptel-auth--unlock-seconds 65
  "How long to wait while the keychain waits for its user, in seconds.
The program gives up after 60, and says so.")

(defconst glm-gptel-auth--waiting-message
  "GLM: the keychain waits for you to unlock it (C-g to give up) ..."
  "What the echo area says meanwhile.")

(defun glm-gptel-auth--exit-code (status)
  "Return the error code, a string, for exit STATUS, a number."
  (or (car (nth (1- status) glm-gptel-auth--cures)) "ERR_INTERNAL"))

(defun glm-gptel-auth--run (arguments &optional input)
  "Run glm-token with ARGUMENTS, a list of strings, and return its output.
INPUT, a string or nil, goes to its standard input.  Signal a failure
with what it said on standard error when it exits with another status
than 0, and when it takes longer than `glm-gptel-auth-timeout'."
  (let* ((default-directory (glm-gptel-auth--local-directory))
         (process-adaptive-read-buffering nil)
         (command (append (glm-gptel-auth--program) arguments))
         (output (generate-new-buffer " *glm-token output*" t))
         (errors (generate-new-buffer " *glm-token errors*" t))
         (deadline (+ (float-time) (max 2 glm-gptel-auth-timeout)))
         told process pipe)
    (unwind-protect
        (progn
          (setq pipe (make-pipe-process :name "glm-token errors" :buffer errors
                                        :noquery t :sentinel #'ignore
                                        :coding 'utf-8-unix)
                process (make-process :name "glm-token" :buffer output
                                      :command command :stderr pipe
                                      :connection-type 'pipe :noquery t
                                      :sentinel #'ignore :coding 'utf-8-unix))
          (ignore-errors
            (when input (process-send-string process input))
            (process-send-eof process))
          (when (eq 'late
                    (glm-gptel-auth--before deadline
                      (while (or (accept-process-output process 0.05 nil t)
                                 (process-live-p process))
                        (accept-process-output pipe 0 nil t)
                        (when (and (not told)
                                   (with-current-buffer errors
                                     (goto-char (point-min))
                                     (search-forward "waiting for the keychain"
                                                     nil t)))
                          (setq told t
                                deadline (+ (float-time)
                                            glm-gptel-auth--unlock-seconds))
                          (message "%s" glm-gptel-auth--waiting-message)))))
            (glm-gptel-auth--fail
             "ERR_DAEMON" (format "glm-token did not answer within %s s"
                                  glm-gptel-auth-timeout)))
          (while (accept-process-output pipe 0.02 nil t))
          (let ((status (process-exit-status process)))
            (if (eql status 0)
                (with-current-buffer output (string-trim-right (buffer-string)))
              (glm-gptel-auth--fail-as-told
               status (with-current-buffer errors (buffer-string))))))
      (when process (delete-process process))
      (when pipe (delete-process pipe))
      (kill-buffer output)
      (kill-buffer errors))))

(defun glm-gptel-auth--fail-as-told (status text)
  "Signal the failure of a program that exited with STATUS after saying TEXT."
  (let ((message (and (string-match "^glm-token: \\(?:waiting .*\nglm-token: \\)?\\(.*\\)"
                                    text)
                      (match-string 1 text)))
        (hint (and (string-match "^hint: \\(.*\\)" text) (match-string 1 text))))
    (if message
        (glm-gptel-auth--relay-failure
         (glm-gptel-auth--exit-code status) message hint)
      (glm-gptel-auth--fail
       "ERR_DAEMON" (format "glm-token ended with status %s" status)))))

(defun glm-gptel-auth--call-process (method params)
  "Do METHOD, a symbol, with PARAMS, a plist, by running glm-token once.
Return a plist, as the helper does."
  (let ((account (cl-loop for (key option) in '((:host "--host")
                                                (:profile "--profile"))
                          for value = (plist-get params key)
                          when value collect (concat option "=" value))))
    (pcase method
      ('token (list :token (glm-gptel-auth--run (cons "print" account))))
      ('store (glm-gptel-auth--run `("store" "--force" ,@account)
                                   (plist-get params :key))
              nil)
      ('delete (glm-gptel-auth--run `("delete" "--force" ,@account))
               (list :deleted t))
      ('accounts (json-parse-string
                  (glm-gptel-auth--run '("list" "--json"))
                  :object-type 'plist))
      (_ (glm-gptel-auth--fail "ERR_DAEMON" "the helper does not answer")))))

;;;; The helper

(defconst glm-gptel-auth--protocol 1
  "Version of the helper's protocol that this file speaks.")

(defvar glm-gptel-auth--helper nil
  "The helper's process, or nil when there is none.")

(defvar glm-gptel-auth--successor nil
  "The process that will be the helper once it is ready, or nil.")

(defvar glm-gptel-auth--launches 0
  "How many helpers were started, which keeps their buffers apart.")

(defvar glm-gptel-auth--latency nil
  "How long the last token took to come, in seconds, or nil.")

(defun glm-gptel-auth--start-helper ()
  "Make a new process the helper, without waiting for it, and return it."
  (glm-gptel-auth--stop-helper)
  (setq glm-gptel-auth--helper (glm-gptel-auth--launch)))

(defun glm-gptel-auth--launch ()
  "Start a helper and greet it, without waiting for either; return it."
  (require 'jsonrpc)
  (let* ((default-directory (glm-gptel-auth--local-directory))
         ;; With adaptive buffering a call takes 21 ms instead of 0.3.
         (process-adaptive-read-buffering nil)
         (command (append (glm-gptel-auth--program) '("daemon" "--stdio")
                          (when glm-gptel-auth-lock-after
                            (list (concat "--lock-after="
                                          glm-gptel-auth-lock-after)))))
         (name (format "glm-token %d" (cl-incf glm-gptel-auth--launches)))
         process
         (connection
          (apply #'make-instance 'jsonrpc-process-connection
                 :name name
                 :notification-dispatcher #'glm-gptel-auth--notified
                 :process (lambda ()
                            (setq process
                                  (make-process
                                   :name name :command command
                                   :connection-type 'pipe :noquery t
                                   :coding 'utf-8-emacs-unix
                                   ;; The name that jsonrpc.el looks for.
                                   :stderr (get-buffer-create
                                            (format "*%s stderr*" name)))))
                 ;; Else every reply, tokens included, goes into a buffer.
                 (if (slot-exists-p 'jsonrpc-process-connection
                                    '-events-buffer-config)
                     '(:events-buffer-config (:size 0))
                   '(:events-buffer-scrollback-size 0)))))
    (add-function :before-while (process-filter process)
                  #'glm-gptel-auth--framed-p)
    (when-let* ((pipe (get-buffer-process
                       (process-get process 'jsonrpc-stderr))))
      (set-process-query-on-exit-flag pipe nil))
    (ignore-errors                      ; It may be dead already.
      (jsonrpc-async-request
       connection 'initialize (list :protocol glm-gptel-auth--protocol)
       :timeout nil
       :success-fn (lambda (result)
                     (process-put process 'glm-gptel-auth-greeting result))
       :error-fn (lambda (_) (process-put process 'glm-gptel-auth-alien t))))
    process))

(defun glm-gptel-auth--framed-p (process string)
  "Return non-nil when STRING, just come from PROCESS, can be JSON-RPC.
Else end PROCESS.  The regexp by which jsonrpc.el looks for a header can
take minutes on noise, and cannot be quit out of."
  (let* ((header "Content-Length: ")
         (length (min (length header) (length string))))
    (or (> (buffer-size (process-buffer process)) 0) ; In the middle of one.
        (eq t (compare-strings header 0 length string 0 length))
        (progn (delete-process process) nil))))

(defun glm-gptel-auth--stop-helper ()
  "End the helper and its successor, if there are any."
  (dolist (process (list glm-gptel-auth--helper glm-gptel-auth--successor))
    (when process (glm-gptel-auth--end process)))
  (setq glm-gptel-auth--helper nil
        glm-gptel-auth--successor nil))

(defun glm-gptel-auth--end (process)
  "End PROCESS, a helper, and remove its buffers."
  (set-process-sentinel process #'ignore)
  (delete-process process)
  (let ((name (jsonrpc-name (process-get process 'jsonrpc-connection)))
        (kill-buffer-query-functions nil))
    (dolist (buffer (list (process-buffer process)
                          (process-get process 'jsonrpc-stderr)
                          (get-buffer (format "*%s events*" name))))
      (when (buffer-live-p buffer)
        (when-let* ((pipe (get-buffer-process buffer)))
          (set-process-sentinel pipe #'ignore)
          (delete-process pipe))
        (kill-buffer buffer)))))

(defun glm-gptel-auth--notified (_connection method _params)
  "Take notification METHOD, a symbol, from the helper."
  (pcase method
    ('waiting
     (process-put glm-gptel-auth--helper 'glm-gptel-auth-deadline
                  (+ (float-time) glm-gptel-auth--unlock-seconds))
     (message "%s" glm-gptel-auth--waiting-message))
    ('retire
     ;; It answers until the other one is ready.
     (unless glm-gptel-auth--successor
       (setq glm-gptel-auth--successor (glm-gptel-auth--launch))))))

(defun glm-gptel-auth--promote-successor ()
  "Let the successor take over from the helper, once it has greeted us."
  (let ((successor glm-gptel-auth--successor))
    (accept-process-output successor 0 nil t)
    (cond ((not (process-live-p successor))
           (glm-gptel-auth--end successor)
           (setq glm-gptel-auth--successor nil))
          ((process-get successor 'glm-gptel-auth-greeting)
           (glm-gptel-auth--end glm-gptel-auth--helper)
           (setq glm-gptel-auth--helper successor
                 glm-gptel-auth--successor nil)))))

(defun glm-gptel-auth--ask-helper (method params)
  "Ask the helper to do METHOD, a symbol, with PARAMS, a plist.
Return its answer, a plist.  Signal `glm-gptel-auth--failure' for what it
refuses, and `glm-gptel-auth--broken' when there is no sensible answer."
  (when glm-gptel-auth--successor
    (glm-gptel-auth--promote-successor))
  (let* ((process (if (process-live-p glm-gptel-auth--helper)
                      glm-gptel-auth--helper
                    (glm-gptel-auth--start-helper)))
         (waiting t)
         (answer
          (unwind-protect
              (catch 'glm-gptel-auth--answer
                (process-put process 'glm-gptel-auth-deadline
                             (+ (float-time) glm-gptel-auth-timeout))
                (glm-gptel-auth--before
                    (process-get process 'glm-gptel-auth-deadline)
                  (condition-case err
                      (jsonrpc-async-request
                       (process-get process 'jsonrpc-connection)
                       method (or params (make-hash-table))
                       :timeout nil
                       :success-fn
                       (lambda (result)
                         (when waiting
                           (throw 'glm-gptel-auth--answer (list 'ok result))))
                       :error-fn
                       (lambda (err)
                         (when waiting
                           (throw 'glm-gptel-auth--answer (list 'error err)))))
                    (error (throw 'glm-gptel-auth--answer err)))
                  (while (process-live-p process)
                    (accept-process-output process 0.5 nil t))))
            (setq waiting nil))))
    (when (process-get process 'glm-gptel-auth-alien)
      (signal 'glm-gptel-auth--broken '("another protocol")))
    (pcase answer
      (`(ok ,result) result)
      ((and `(error ,err)
            (let code (plist-get (plist-get err :data) :code))
            (guard (and code (not (equal code "ERR_DAEMON")))))
       (glm-gptel-auth--relay-failure code (plist-get err :message)
                                      (plist-get (plist-get err :data) :hint)))
      (_ (signal 'glm-gptel-auth--broken (list answer))))))

(defun glm-gptel-auth--call-surely (method params)
  "Do METHOD with PARAMS, whatever becomes of the helper."
  (let ((start (float-time)))
    (prog1
        (if (eq glm-gptel-auth-transport 'process)
            (glm-gptel-auth--call-process method params)
          (condition-case nil
              (glm-gptel-auth--ask-helper method params)
            (glm-gptel-auth--broken
             (glm-gptel-auth--stop-helper)
             (condition-case nil
                 (glm-gptel-auth--ask-helper method params)
               (glm-gptel-auth--broken
                (glm-gptel-auth--stop-helper)
                (glm-gptel-auth--call-process method params))))))
      ;; Here, where no time goes to the typing of a passphrase.
      (when (eq method 'token)
        (setq glm-gptel-auth--latency (- (float-time) start))))))

(defun glm-gptel-auth--warm-up (&rest _)
  "Start the helper in the background, so that no request waits for it."
  (unless (or noninteractive
              (eq glm-gptel-auth-transport 'process)
              (process-live-p glm-gptel-auth--helper))
    (ignore-errors (glm-gptel-auth--start-helper))))

(add-hook 'gptel-mode-hook #'glm-gptel-auth--warm-up)
(run-with-idle-timer 2 nil #'glm-gptel-auth--warm-up)

;;;; Calls, and the passphrase that they may need

(defconst glm-gptel-auth--passphrase-tries 3
  "How often a wrong passphrase may be typed.")

(defvar glm-gptel-auth--may-ask t
  "Whether the passphrase may be asked for now.")

(defvar glm-gptel-auth--asking nil
  "Non-nil while the passphrase is being asked for.")

(defun glm-gptel-auth--unlock ()
  "Ask for the passphrase of the key file and have the helper unlock it."
  (when glm-gptel-auth--asking
    (glm-gptel-auth--fail "ERR_PASSPHRASE"
                          "the passphrase is being asked for already"
                          "type it in the minibuffer, and then try again"))
  (let* ((glm-gptel-auth--asking t)
         (status (glm-gptel-auth--call-surely 'status nil))
         (new (equal (plist-get status :lock) "new"))
         (tries glm-gptel-auth--passphrase-tries)
         (prompt (if new "New passphrase for the GLM key file: "
                   "Passphrase of the GLM key file: ")))
    (while (> tries 0)
      (let ((passphrase (condition-case nil
                            (read-passwd prompt new)
                          ;; In batch mode, with nobody there.
                          (end-of-file
                           (glm-gptel-auth--fail
                            "ERR_PASSPHRASE" "the key file needs its passphrase"
                            "set GLM_TOKEN_PASSPHRASE_FILE")))))
        (unwind-protect
            (condition-case failure
                (progn
                  (glm-gptel-auth--call-surely
                   'unlock (list :passphrase passphrase))
                  (setq tries 0))
              (glm-gptel-auth--failure
               (cl-decf tries)
               (unless (and (> tries 0)
                            (equal (nth 1 failure) "ERR_PASSPHRASE"))
                 (signal (car failure) (cdr failure)))
               (setq prompt "Not that; passphrase of the GLM key file: ")))
          (clear-string passphrase))))))

(defun glm-gptel-auth--call-unlocking (method params)
  "Do METHOD with PARAMS; unlock the key file first when that is locked."
  (condition-case failure
      (glm-gptel-auth--call-surely method params)
    (glm-gptel-auth--failure
     (cond ((not (equal (nth 1 failure) "ERR_PASSPHRASE"))
            (signal (car failure) (cdr failure)))
           ((eq glm-gptel-auth-transport 'process)
            (glm-gptel-auth--fail
             "ERR_PASSPHRASE" "the key file needs its passphrase"
             "set `glm-gptel-auth-transport' to helper, which asks for it"))
           (glm-gptel-auth--may-ask
            (glm-gptel-auth--unlock)
            (glm-gptel-auth--call-surely method params))
           (t (glm-gptel-auth--fail "ERR_PASSPHRASE" "the key file is locked"
                                    "the next request asks for its passphrase"))))))

(defun glm-gptel-auth--call (method params)
  "Have glm-token do METHOD, a symbol, with PARAMS, a plist.
Return a plist.  A helper that does not answer is replaced once, and then
the work is done without one.  The passphrase of an encrypted key file is
asked for when it is needed."
  (unwind-protect
      (glm-gptel-auth--call-unlocking method params)
    ;; What processes sent and got last stays in the buffer that Emacs
    ;; converts text in, until the next conversion that is not trivial.
    (decode-coding-string "\xc3\xa4" 'utf-8)))

;;;; Tokens

(defconst glm-gptel-auth--default-host "open.bigmodel.cn"
  "Host of the service in China; abroad it is api.z.ai.")

(defun glm-gptel-auth--account (&optional host profile)
  "Return a plist of HOST and PROFILE, strings, or of the defaults for nil."
  (list :host (or host glm-gptel-auth-host glm-gptel-auth--default-host)
        :profile (or profile glm-gptel-auth-profile)))

(defun glm-gptel-auth--token (host profile)
  "Return a fresh token, a string, for HOST and PROFILE, strings or nil."
  (let* ((answer (glm-gptel-auth--call
                  'token (glm-gptel-auth--account host profile)))
         (token (plist-get answer :token)))
    (unless (and (stringp token)
                 (string-match-p "\\`[-A-Za-z0-9_]+\\(?:\\.[-A-Za-z0-9_]+\\)\\{2\\}\\'"
                                 token))
      (glm-gptel-auth--fail "ERR_DAEMON" "glm-token printed no token"))
    token))

;;;###autoload
(defun glm-gptel-auth-token (&optional host profile)
  "Return a fresh token, a string, for HOST and PROFILE, strings.
They default to `glm-gptel-auth-host', else open.bigmodel.cn, and to
`glm-gptel-auth-profile'.  Signal a `user-error' that says what to do
when there is none."
  (glm-gptel-auth--with-user-errors (glm-gptel-auth--token host profile)))

;;;; gptel

(defun glm-gptel-auth--drop-parked-request ()
  "Remove the curl process that gptel started before it asked for headers.
Since gptel 0.9.9.5 it waits for them in the current buffer, and without
them it would wait forever."
  (when-let* ((process (get-buffer-process (current-buffer)))
              ((string-prefix-p "gptel-curl" (process-name process))))
    (set-process-sentinel process #'ignore)
    (set-process-filter process #'ignore)
    (delete-process process)
    (let ((kill-buffer-query-functions nil))
      (kill-buffer (current-buffer)))))

(defun glm-gptel-auth--token-for-request (host profile)
  "Return a fresh token for HOST and PROFILE, strings or nil.
When there is none, remove the request that gptel has begun."
  (condition-case err
      (glm-gptel-auth--with-user-errors (glm-gptel-auth--token host profile))
    ((error quit)
     (glm-gptel-auth--drop-parked-request)
     (signal (car err) (cdr err)))))

(defun glm-gptel-auth--header (info profile)
  "Return the header for the request that INFO, a plist or nil, is about.
PROFILE is a string, or nil for `glm-gptel-auth-profile'."
  (let* ((backend (or (plist-get info :backend)
                      (bound-and-true-p gptel-backend)))
         (host (or glm-gptel-auth-host
                   (and backend (gptel-backend-host backend))))
         (token (glm-gptel-auth--token-for-request host profile)))
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
      (glm-4.6 :context-window 200 ,@text)
      (glm-4.5-air :context-window 128 ,@text)))
  "GLM models and what gptel wants to know of them; windows in 1000 tokens.
Windows and abilities are those of https://models.dev (July 2026), and for
glm-5.3 and glm-5.3-flash of https://docs.z.ai/guides/llm/glm-5.3 as
https://vercel.com/ai-gateway/models repeats it.  Prices are left out:
they differ by host and change.")

(defvar glm-gptel-auth--backend-hosts nil
  "Hosts of the backends that `glm-gptel-auth-make-backend' made.")

(defun glm-gptel-auth--our-host-p (host)
  "Return non-nil when HOST, a string, is one that glm-token is for."
  (or (member host glm-gptel-auth-hosts)
      (member host glm-gptel-auth--backend-hosts)))

(defconst glm-gptel-auth--service-errors
  '(("1000\\|401" "the service could not authenticate the request; check the \
key with M-x glm-gptel-auth-status, or store it again"
     "服务无法验证身份；请用 M-x glm-gptel-auth-status 检查 key，或重新保存")
    ("1001" "the service saw no token; a proxy may have removed the \
Authorization header"
     "服务没有收到令牌；Authorization 头可能被代理去掉了")
    ("1002" "the service could not read the token; check that the backend's \
:header is glm-gptel-auth-header"
     "服务读不懂令牌；请检查 backend 的 :header 是否为 glm-gptel-auth-header")
    ("1003" "the service says that the token has expired, though it was just \
made; this machine's clock is off: set it right, or see glm-token doctor"
     "服务说令牌已过期，可它刚刚签发；本机时钟不准，请校准，或运行 glm-token doctor")
    ("1004" "the service refuses the key; it was revoked or mistyped: make a \
new one and M-x glm-gptel-auth-store"
     "服务拒绝这个 key；它已被吊销或输错了：请新建一个并 M-x glm-gptel-auth-store")
    ("1113" "the account has no balance left; recharge it, or, with a Coding \
Plan key, see :coding-plan in glm-gptel-auth-make-backend"
     "账户余额不足；请充值；若是 Coding Plan 的 key，见 glm-gptel-auth-make-backend 的 :coding-plan")
    ("1301" "the service takes the prompt or the answer for unsafe; word it \
differently"
     "服务认为提问或回答含敏感内容；请换个说法")
    ("130[235]\\|1312" "too many requests, or the model is busy; wait a little \
and send again"
     "请求太多或模型繁忙；请稍后再试")
    ("1304\\|1308\\|1310" "the quota of the day or of the plan is used up; wait \
until it is renewed, or take another key"
     "当日或套餐额度已用完；请等额度恢复，或换一个 key")
    ("1309" "the Coding Plan has expired; renew it, or use the general endpoint"
     "Coding Plan 套餐已过期；请续费，或改用通用端点")
    ("1311" "the plan does not include this model; take another model"
     "套餐不包含这个模型；请换一个模型")
    ("13[01][0-9]" "the service's policy for the account or plan stands against \
the request; see its console"
     "账户或套餐的策略不允许这个请求；请查看控制台"))
  "What to say of the service's error codes, in English and in Chinese.
Each is a regexp for codes and the two texts.  Source of the codes:
https://docs.z.ai/api-reference/api-code; 401 is undocumented.")

(defun glm-gptel-auth--chinese-p ()
  "Return non-nil when this Emacs is set up for Chinese."
  (or (string-prefix-p "Chinese" current-language-environment)
      (string-prefix-p "zh" (or (getenv "LC_ALL") (getenv "LC_MESSAGES")
                                (getenv "LANG") ""))))

(defun glm-gptel-auth--explain-error (info)
  "Say cause and cure when INFO, gptel's plist, has an error of the service."
  (when-let* ((err (plist-get info :error))
              ((consp err))
              (code (format "%s" (or (plist-get err :code) "")))
              (texts (cdr (cl-find code glm-gptel-auth--service-errors
                                   :test (lambda (code row)
                                           (string-match-p
                                            (format "\\`\\(?:%s\\)\\'" (car row))
                                            code))))))
    (message "GLM %s: %s" code
             (if (glm-gptel-auth--chinese-p) (cadr texts) (car texts)))))

(defun glm-gptel-auth--explain-errors-of (fsm)
  "Have errors explained when FSM is a gptel request to a host of ours.
For `gptel-prompt-transform-functions', the hook that sees each request
before it is sent."
  (let ((info (gptel-fsm-info fsm)))
    (when-let* ((backend (or (plist-get info :backend)
                             (bound-and-true-p gptel-backend)))
                ((glm-gptel-auth--our-host-p (gptel-backend-host backend))))
      (plist-put info :post (cons #'glm-gptel-auth--explain-error
                                  (plist-get info :post))))))

;;;###autoload
(cl-defun glm-gptel-auth-make-backend
    (name &rest args &key profile (host glm-gptel-auth--default-host)
          coding-plan &allow-other-keys)
  "Register a GLM backend for gptel with NAME, a string, and return it.

HOST is open.bigmodel.cn by default; api.z.ai is the service abroad.
PROFILE, a string, fixes the profile whose key signs for this backend; by
default it is `glm-gptel-auth-profile' at the time of the request.

CODING-PLAN non-nil takes the endpoint of the GLM Coding Plan.  Beware:
the plan's terms name the tools that it may be used with, and gptel may
not be one of them; a key of the plan can be suspended for other use.

ARGS are any other keywords of `gptel-make-openai', such as `:stream',
`:models', `:endpoint' and `:request-params', and go before the defaults:
streaming, `glm-gptel-auth-models', and the general endpoint."
  (declare (indent 1))
  (unless (require 'gptel nil t)
    (user-error "GLM: gptel is not installed; M-x package-install RET gptel"))
  (require 'gptel-openai-extras nil t)
  (let ((options (cl-loop for (key value) on args by #'cddr
                          unless (memq key '(:profile :host :coding-plan))
                          append (list key value))))
    (cl-pushnew host glm-gptel-auth--backend-hosts :test #'equal)
    (add-hook 'gptel-prompt-transform-functions
              #'glm-gptel-auth--explain-errors-of)
    (apply (if (fboundp 'gptel-make-deepseek)
               #'gptel-make-deepseek    ; As gptel's NEWS says of GLM.
             #'gptel-make-openai)
           name
           (append options
                   (list :host host
                         :endpoint (if coding-plan
                                       "/api/coding/paas/v4/chat/completions"
                                     "/api/paas/v4/chat/completions")
                         :stream t
                         :models glm-gptel-auth-models
                         :header (lambda (&optional info)
                                   (glm-gptel-auth--header info profile)))))))

;;;; auth-source

(defun glm-gptel-auth--accounts ()
  "Return what accounts there are, a list of plists."
  (append (plist-get (glm-gptel-auth--call 'accounts nil) :accounts) nil))

(defun glm-gptel-auth--forget ()
  "Make auth-source forget what it found, and what it did not find."
  (when (featurep 'auth-source) (auth-source-forget-all-cached)))

(defun glm-gptel-auth--as-list (value)
  "Return VALUE of a search as a list of strings; nil for any."
  (cond ((memq value '(t nil)) nil)
        ((listp value) (mapcar (lambda (item) (format "%s" item)) value))
        (t (list (format "%s" value)))))

(defun glm-gptel-auth--profile-of (user)
  "Return the profile that USER of auth-source, a string or nil, stands for."
  (if (member user '(nil "" "apikey")) glm-gptel-auth-profile user))

(defun glm-gptel-auth--matches (hosts users)
  "Return pairs of host and profile that have a key and match HOSTS and USERS.
Both are lists of strings, or nil for any; the user \"apikey\" is the
default profile.  The default profile comes first."
  (let ((default glm-gptel-auth-profile) found)
    (dolist (account (glm-gptel-auth--accounts))
      (let ((host (plist-get account :host))
            (profile (plist-get account :profile)))
        (when (and (or (null hosts) (member host hosts))
                   (glm-gptel-auth--our-host-p host)
                   (or (null users)
                       (member profile users)
                       (and (member "apikey" users) (equal profile default))))
          (cl-pushnew (cons host profile) found :test #'equal))))
    (sort (nreverse found)
          (lambda (a b) (and (equal (cdr a) default)
                             (not (equal (cdr b) default)))))))

(defun glm-gptel-auth--entry (host profile users port)
  "Return an entry of auth-source for HOST and PROFILE.
USERS and PORT are what was asked for."
  (append (list :host host
                :user (if (or (member profile users) (not (member "apikey" users)))
                          profile
                        "apikey"))
          (when-let* ((ports (glm-gptel-auth--as-list port)))
            (list :port (car ports)))
          (list :secret (lambda ()
                          (glm-gptel-auth--token-for-request host profile)))))

(cl-defun glm-gptel-auth--search
    (&key host user port max require create delete &allow-other-keys)
  "Answer a search of auth-source.
HOST, USER, PORT, MAX, REQUIRE, CREATE and DELETE are as in
`auth-source-search'.  The secret is a function that makes a token."
  (let* ((asked (glm-gptel-auth--as-list host))
         (hosts (cl-remove-if-not #'glm-gptel-auth--our-host-p asked))
         (users (glm-gptel-auth--as-list user)))
    ;; For a host that is not ours, nothing is started and nothing is asked.
    (when (and (or hosts (null asked))
               (cl-subsetp require (if port '(:host :user :port :secret)
                                     '(:host :user :secret))))
      (let ((matches (condition-case nil
                         (let ((glm-gptel-auth--may-ask nil))
                           (glm-gptel-auth--matches hosts users))
                       ;; What is wrong is said, and a passphrase asked for,
                       ;; when the secret is: a search that fails would keep
                       ;; other sources from being searched, and looks like
                       ;; "not found".
                       (glm-gptel-auth--failure
                        (list (cons (or (car hosts) glm-gptel-auth--default-host)
                                    (glm-gptel-auth--profile-of (car users))))))))
        (when (and create (null matches) hosts)
          (let ((profile (glm-gptel-auth--profile-of (car users))))
            (glm-gptel-auth-store (car hosts) profile)
            (setq matches (list (cons (car hosts) profile)))))
        (setq matches (seq-take matches (max 1 (or max 1))))
        (when delete
          (pcase-dolist (`(,host . ,profile) matches)
            (glm-gptel-auth--with-user-errors
              (glm-gptel-auth--call 'delete
                                    (list :host host :profile profile))))
          (glm-gptel-auth--forget))
        (mapcar (pcase-lambda (`(,host . ,profile))
                  (glm-gptel-auth--entry host profile users port))
                matches)))))

(defun glm-gptel-auth--parse (entry)
  "Return our backend when ENTRY of `auth-sources' is the symbol `glm-token'."
  (when (eq entry 'glm-token)
    (auth-source-backend-parse-parameters
     entry
     (make-instance 'auth-source-backend :source "glm-token" :type 'glm-token
                    :search-function #'glm-gptel-auth--search
                    :create-function #'glm-gptel-auth--search))))

;;;###autoload
(defun glm-gptel-auth-source-enable ()
  "Have auth-source hand out fresh GLM tokens to every package that asks it."
  (interactive)
  (require 'auth-source)
  (add-hook 'auth-source-backend-parser-functions #'glm-gptel-auth--parse)
  (add-to-list 'auth-sources 'glm-token)
  (auth-source-forget-all-cached))

(defun glm-gptel-auth-source-disable ()
  "Undo what `glm-gptel-auth-source-enable' did."
  (interactive)
  (require 'auth-source)
  (setq auth-sources (remq 'glm-token auth-sources))
  (remove-hook 'auth-source-backend-parser-functions #'glm-gptel-auth--parse)
  (auth-source-forget-all-cached))

;;;; Commands

(defun glm-gptel-auth--read-account ()
  "Read a host and a profile with a prefix argument, else take the defaults.
Return a list of the two."
  (let ((account (glm-gptel-auth--account)))
    (if current-prefix-arg
        (list (completing-read "Host: " '("open.bigmodel.cn" "api.z.ai") nil nil
                               nil nil (plist-get account :host))
              (read-string "Profile: " nil nil (plist-get account :profile)))
      (list (plist-get account :host) (plist-get account :profile)))))

(defun glm-gptel-auth--describe (host profile)
  "Return HOST and PROFILE, strings, as a sentence has them."
  (if (equal profile "default") host (format "%s (profile %s)" host profile)))

(defun glm-gptel-auth--stored-p (host profile)
  "Return non-nil when glm-token has a key for HOST and PROFILE, strings."
  (seq-some (lambda (account)
              (and (equal (plist-get account :host) host)
                   (equal (plist-get account :profile) profile)
                   (not (equal (plist-get account :store) "environment"))))
            (glm-gptel-auth--accounts)))

;;;###autoload
(defun glm-gptel-auth-store (host profile)
  "Ask for an API key and store it for HOST and PROFILE, strings.
With a prefix argument, ask for these too."
  (interactive (glm-gptel-auth--read-account))
  (glm-gptel-auth--with-user-errors
    (let ((owner (glm-gptel-auth--describe host profile)))
      (when (or (not (glm-gptel-auth--stored-p host profile))
                (y-or-n-p (format "Replace the key stored for %s? " owner)))
        (let ((key (read-passwd (format "API key for %s (id.secret): " owner))))
          (unwind-protect
              (glm-gptel-auth--call
               'store (list :host host :profile profile :key key))
            (clear-string key)))
        (glm-gptel-auth--forget)
        (message "GLM: stored the key for %s" owner)))))

;;;###autoload
(defun glm-gptel-auth-delete (host profile)
  "Delete the key stored for HOST and PROFILE, strings, after asking.
With a prefix argument, ask for these too."
  (interactive (glm-gptel-auth--read-account))
  (glm-gptel-auth--with-user-errors
    (let ((owner (glm-gptel-auth--describe host profile)))
      (when (y-or-n-p (format "Delete the key stored for %s? " owner))
        (let ((deleted (plist-get (glm-gptel-auth--call
                                   'delete (list :host host :profile profile))
                                  :deleted)))
          (glm-gptel-auth--forget)
          (message (if (eq t deleted) "GLM: deleted the key for %s"
                     "GLM: no key is stored for %s")
                   owner))))))

;;;###autoload
(defun glm-gptel-auth-restart ()
  "Replace the helper by a new one."
  (interactive)
  (glm-gptel-auth--stop-helper)
  (glm-gptel-auth--with-user-errors
    (let ((status (glm-gptel-auth--ask-status)))
      (message "GLM: helper restarted (glm-token %s, process %s)"
               (plist-get status :version) (plist-get status :pid)))))

(defun glm-gptel-auth--ask-status ()
  "Return the helper's status, a plist, whatever the transport."
  (let ((glm-gptel-auth-transport 'helper))
    (glm-gptel-auth--call 'status nil)))

(defun glm-gptel-auth--try (function &rest arguments)
  "Call FUNCTION with ARGUMENTS; return a failure's message instead of failing.
Do not ask for a passphrase."
  (condition-case failure
      (let ((glm-gptel-auth--may-ask nil))
        (apply function arguments))
    (glm-gptel-auth--failure (nth 2 failure))))

(defun glm-gptel-auth--describe-store (status)
  "Return a description, a string, of the store in STATUS, the helper's plist."
  (concat (plist-get status :store)
          (pcase (plist-get status :lock)
            ("locked" ", locked")
            ("unlocked" ", unlocked")
            ("new" ", which is yet to be made"))))

(defun glm-gptel-auth--describe-clock (clock)
  "Return a description, a string, of CLOCK, a plist of the helper's status."
  (format "tokens are signed on the time of %s, %+d s from this clock's, until %s"
          (plist-get clock :host)
          (round (plist-get clock :offset) 1000)
          (format-time-string "%F %R" (/ (plist-get clock :until) 1000))))

(defun glm-gptel-auth--status-lines ()
  "Return what there is to say of the state of things, a list of pairs."
  (let* ((helper-p (eq glm-gptel-auth-transport 'helper))
         (status (and helper-p
                      (glm-gptel-auth--try #'glm-gptel-auth--ask-status)))
         (accounts (glm-gptel-auth--try #'glm-gptel-auth--accounts))
         (program (glm-gptel-auth--try #'glm-gptel-auth--program)))
    `(("Transport" . ,(if helper-p "helper: one process for all tokens"
                        "process: one process a token"))
      ,@(when helper-p
          `(("Helper"
             . ,(if (stringp status) status
                  (format "process %d, glm-token %s, up %s, %d tokens"
                          (plist-get status :pid) (plist-get status :version)
                          (format-seconds "%dd %hh %mm %z%ss"
                                          (/ (plist-get status :uptime) 1000))
                          (plist-get status :tokens))))
            ("Store" . ,(if (stringp status) "unknown"
                          (concat (glm-gptel-auth--describe-store status)
                                  (if (eq t (plist-get status :environment))
                                      "; GLM_API_KEY is set and wins" ""))))
            ,@(when-let* (((consp status))
                          (clock (plist-get status :clock)))
                `(("Clock" . ,(glm-gptel-auth--describe-clock clock))))))
      ("Last token" . ,(if glm-gptel-auth--latency
                           (format "came in %.1f ms"
                                   (* 1000 glm-gptel-auth--latency))
                         "none yet"))
      ("Accounts" . ,(cond
                      ((stringp accounts) accounts)
                      ((mapconcat
                        (lambda (account)
                          (format "%s (%s)"
                                  (glm-gptel-auth--describe
                                   (plist-get account :host)
                                   (plist-get account :profile))
                                  (plist-get account :store)))
                        accounts "\n"))))
      ("Program" . ,(if (stringp program) program (string-join program " ")))
      ("Versions" . ,(format "glm-gptel-auth %s, Emacs %s"
                             glm-gptel-auth-version emacs-version)))))

(defun glm-gptel-auth--show (buffer title lines)
  "Show TITLE and LINES, pairs of a name and a text, in the buffer named BUFFER."
  (with-current-buffer (get-buffer-create buffer)
    (special-mode)
    (let ((inhibit-read-only t))
      (erase-buffer)
      (insert (propertize title 'face 'bold) "\n\n")
      (pcase-dolist (`(,name . ,text) lines)
        (let ((rows (split-string (if (equal text "") "none" text) "\n")))
          (insert (propertize (format "%-12s" name) 'face 'shadow)
                  (string-join rows (concat "\n" (make-string 12 ?\s))) "\n")))
      (goto-char (point-min)))
    (display-buffer (current-buffer))))

;;;###autoload
(defun glm-gptel-auth-status ()
  "Show a summary of the helper and what it serves; no secret."
  (interactive)
  (glm-gptel-auth--show "*glm-token status*" "GLM token status"
                        (glm-gptel-auth--status-lines))
  (with-current-buffer "*glm-token status*"
    (setq-local revert-buffer-function
                (lambda (&rest _) (glm-gptel-auth-status)))))

;;;###autoload
(defun glm-gptel-auth-lock ()
  "Make the helper forget the passphrase of the encrypted key file.
The OS keychain is not touched: lock it with its own program."
  (interactive)
  ;; It ends, since one that hangs could not be told to forget.
  (glm-gptel-auth--stop-helper)
  (message "GLM: locked"))

;;;; Bringing over what there is

(defun glm-gptel-auth--lines-with (secret)
  "Return where SECRET is in the files of `auth-sources', a list of strings."
  (cl-loop
   for source in auth-sources
   for file = (if (listp source) (plist-get source :source) source)
   when (and (stringp file) (file-readable-p file))
   append (with-temp-buffer
            (insert-file-contents file)
            (goto-char (point-min))
            (cl-loop while (search-forward secret nil t)
                     collect (format "line %d of %s" (line-number-at-pos)
                                     (abbreviate-file-name file))
                     do (forward-line)))))

;;;###autoload
(defun glm-gptel-auth-import ()
  "Move GLM keys from your other auth-sources into the store of glm-token.
Ask about each, and then say which line of which file to remove; no file
of yours is edited."
  (interactive)
  (require 'auth-source)
  (let ((auth-sources (remq 'glm-token auth-sources))
        (auth-source-do-cache nil)
        (told nil))
    (dolist (entry (auth-source-search :host glm-gptel-auth-hosts :max 50
                                       :require '(:secret)))
      (let* ((secret (plist-get entry :secret))
             (key (if (functionp secret) (funcall secret) secret))
             (host (plist-get entry :host))
             (profile (glm-gptel-auth--profile-of (plist-get entry :user))))
        (when (and (stringp key)
                   (string-match-p "\\`[^. \t\n]+\\.[^. \t\n]+\\'" key)
                   (y-or-n-p
                    (format "Move the key of %s into the store of glm-token? "
                            (glm-gptel-auth--describe host profile)))
                   (or (not (glm-gptel-auth--with-user-errors
                              (glm-gptel-auth--stored-p host profile)))
                       (y-or-n-p "There is one already; replace it? ")))
          (glm-gptel-auth--with-user-errors
            (glm-gptel-auth--call
             'store (list :host host :profile profile :key key)))
          (push (format "stored the key of %s; now remove %s"
                        (glm-gptel-auth--describe host profile)
                        (string-join
                         (or (glm-gptel-auth--lines-with key)
                             (list (format "the entry for %s from your password \
store" host)))
                         " and "))
                told))))
    (glm-gptel-auth--forget)
    (message "GLM: %s" (if told (string-join (nreverse told) "\n     ")
                         "no key was moved"))))

;;;; Finding what is wrong

(defun glm-gptel-auth--node-version (node)
  "Return the version of NODE, a file name, or nil."
  (with-temp-buffer
    (let ((default-directory (glm-gptel-auth--local-directory)))
      (when (eql 0 (ignore-errors (call-process node nil t nil "--version")))
        (string-trim (buffer-string) "v" "\n")))))

(defun glm-gptel-auth--gptel-version ()
  "Return the version of gptel, a string, or nil when there is none."
  (require 'lisp-mnt)
  (when-let* ((file (locate-library "gptel.el" t)))
    (with-temp-buffer
      (insert-file-contents file nil 0 4000)
      (lm-header "version"))))

(defun glm-gptel-auth--doctor-program ()
  "Return findings on the program and on node."
  (let ((program (glm-gptel-auth--try #'glm-gptel-auth--program)))
    (if (stringp program) `((failure "Program" ,program))
      (let* ((node (car program))
             (version (glm-gptel-auth--node-version node)))
        `((ok "Program" ,(format "%s (%s)" (or (cadr program) node)
                                 (if glm-gptel-auth-command
                                     "from `glm-gptel-auth-command'"
                                   "found by itself")))
          ,(cond
            ((null (cdr program)) `(ok "Node" "called by the program itself"))
            ((null version) `(failure "Node" ,(format "%s does not run; check \
`glm-gptel-auth-command'" node)))
            ((version< version "20.19")
             `(failure "Node" ,(format "%s is version %s; install 20.19 or later"
                                       node version)))
            (t `(ok "Node" ,(format "%s, version %s" node version))))
          ,(if (executable-find "node")
               `(ok "PATH" "has node in it")
             `(warning "PATH" "Emacs has no node on its own path, as when a \
desktop starts it; keep `glm-gptel-auth-command' as glm-token setup printed \
it")))))))

(defun glm-gptel-auth--doctor-helper ()
  "Return findings on the helper, the store and the accounts."
  (let ((status (glm-gptel-auth--try #'glm-gptel-auth--ask-status))
        (accounts (glm-gptel-auth--try #'glm-gptel-auth--accounts)))
    `(,@(if (stringp status) `((failure "Helper" ,status))
          (let ((version (plist-get status :version)))
            `(,(if (equal version glm-gptel-auth-version)
                   `(ok "Helper" ,(format "answers, version %s" version))
                 `(warning "Helper"
                           ,(format "is version %s and this file %s; update \
both and M-x glm-gptel-auth-restart" version glm-gptel-auth-version)))
              (ok "Store" ,(glm-gptel-auth--describe-store status))
              ,@(when-let* ((clock (plist-get status :clock)))
                  `((warning "Clock" ,(glm-gptel-auth--describe-clock clock)))))))
      ,(cond ((and (stringp accounts) (consp status)
                   (equal (plist-get status :lock) "locked"))
              `(ok "Accounts" ,accounts))
             ((stringp accounts) `(failure "Accounts" ,accounts))
             ((null accounts) `(failure "Accounts" "no key is stored yet; \
M-x glm-gptel-auth-store"))
             (t `(ok "Accounts"
                     ,(mapconcat (lambda (account)
                                   (glm-gptel-auth--describe
                                    (plist-get account :host)
                                    (plist-get account :profile)))
                                 accounts ", ")))))))

(defun glm-gptel-auth--doctor-gptel ()
  "Return findings on gptel."
  (let ((version (glm-gptel-auth--gptel-version)))
    `(,(cond ((null version) '(warning "gptel" "is not installed; other \
packages are served through M-x glm-gptel-auth-source-enable"))
             ((version< version "0.9.9.5")
              `(warning "gptel" ,(format "version %s shows the header in the \
process list; update to 0.9.9.5 or later" version)))
             (t `(ok "gptel" ,(format "version %s" version))))
      ,(if (eq (bound-and-true-p gptel-log-level) 'debug)
           '(warning "Log" "`gptel-log-level' is debug, which writes headers, \
tokens included, to a buffer; set it to nil or info")
         '(ok "Log" "no headers are written")))))

;;;###autoload
(defun glm-gptel-auth-doctor ()
  "Check all that a token depends on, and show what is wrong and its cure."
  (interactive)
  (let ((findings (append (glm-gptel-auth--doctor-program)
                          (glm-gptel-auth--doctor-helper)
                          (glm-gptel-auth--doctor-gptel))))
    (glm-gptel-auth--show
     "*glm-token doctor*"
     (pcase (cl-count 'ok findings :key #'car :test-not #'eq)
       (0 "GLM token doctor: all is well")
       (count (format "GLM token doctor: %d to look at" count)))
     (mapcar (pcase-lambda (`(,level ,name ,text))
               (cons name (concat (propertize (format "%-9s" level)
                                              'face (pcase level
                                                      ('ok 'success)
                                                      ('warning 'warning)
                                                      (_ 'error)))
                                  text)))
             findings))))

(provide 'glm-gptel-auth)
;;; glm-gptel-auth.el ends here
