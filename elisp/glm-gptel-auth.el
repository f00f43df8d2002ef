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
(defvar gptel-backend)

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
         (command (append (glm-gptel-auth--program) '("daemon" "--stdio")))
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

(defun glm-gptel-auth--call (method params)
  "Have glm-token do METHOD, a symbol, with PARAMS, a plist.
Return a plist.  A helper that does not answer is replaced once, and then
the work is done without one."
  (unwind-protect
      (glm-gptel-auth--call-1 method params)
    ;; What processes sent and got last stays in the buffer that Emacs
    ;; converts text in, until the next conversion that is not trivial.
    (decode-coding-string "\xc3\xa4" 'utf-8)))

(defun glm-gptel-auth--call-1 (method params)
  "Do what `glm-gptel-auth--call' does with METHOD and PARAMS, but clean up."
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
          (glm-gptel-auth--call-process method params)))))))

(defun glm-gptel-auth--warm-up (&rest _)
  "Start the helper in the background, so that no request waits for it."
  (unless (or noninteractive
              (eq glm-gptel-auth-transport 'process)
              (process-live-p glm-gptel-auth--helper))
    (ignore-errors (glm-gptel-auth--start-helper))))

(add-hook 'gptel-mode-hook #'glm-gptel-auth--warm-up)
(run-with-idle-timer 2 nil #'glm-gptel-auth--warm-up)

;;;; Tokens

(defconst glm-gptel-auth--default-host "open.bigmodel.cn"
  "Host of the service in China; abroad it is api.z.ai.")

(defun glm-gptel-auth--account (&optional host profile)
  "Return a plist of HOST and PROFILE, strings, or of the defaults for nil."
  (list :host (or host glm-gptel-auth-host glm-gptel-auth--default-host)
        :profile (or profile glm-gptel-auth-profile)))

(defun glm-gptel-auth--token (host profile)
  "Return a fresh token, a string, for HOST and PROFILE, strings or nil."
  (let* ((start (float-time))
         (answer (glm-gptel-auth--call
                  'token (glm-gptel-auth--account host profile)))
         (token (plist-get answer :token)))
    (unless (and (stringp token)
                 (string-match-p "\\`[-A-Za-z0-9_]+\\(?:\\.[-A-Za-z0-9_]+\\)\\{2\\}\\'"
                                 token))
      (glm-gptel-auth--fail "ERR_DAEMON" "glm-token printed no token"))
    (setq glm-gptel-auth--latency (- (float-time) start))
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

(defun glm-gptel-auth--header (info profile)
  "Return the header for the request that INFO, a plist or nil, is about.
PROFILE is a string, or nil for `glm-gptel-auth-profile'."
  (condition-case err
      (glm-gptel-auth--with-user-errors
        (let* ((backend (or (plist-get info :backend)
                            (bound-and-true-p gptel-backend)))
               (host (or glm-gptel-auth-host
                         (and backend (gptel-backend-host backend)))))
          `(("Authorization"
             . ,(concat "Bearer " (glm-gptel-auth--token host profile))))))
    ((error quit)
     (glm-gptel-auth--drop-parked-request)
     (signal (car err) (cdr err)))))

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

;;;###autoload
(cl-defun glm-gptel-auth-make-backend
    (name &rest args &key profile (host glm-gptel-auth--default-host)
          &allow-other-keys)
  "Register a GLM backend for gptel with NAME, a string, and return it.

HOST is open.bigmodel.cn by default; api.z.ai is the service abroad.
PROFILE, a string, fixes the profile whose key signs for this backend; by
default it is `glm-gptel-auth-profile' at the time of the request.

ARGS are any other keywords of `gptel-make-openai', such as `:stream',
`:models', `:endpoint' and `:request-params', and go before the defaults:
streaming, `glm-gptel-auth-models', and the general endpoint."
  (declare (indent 1))
  (unless (require 'gptel nil t)
    (user-error "GLM: gptel is not installed; M-x package-install RET gptel"))
  (require 'gptel-openai-extras nil t)
  (let ((options (cl-loop for (key value) on args by #'cddr
                          unless (memq key '(:profile :host))
                          append (list key value))))
    (apply (if (fboundp 'gptel-make-deepseek)
               #'gptel-make-deepseek    ; As gptel's NEWS says of GLM.
             #'gptel-make-openai)
           name
           (append options
                   (list :host host
                         :endpoint "/api/paas/v4/chat/completions"
                         :stream t
                         :models glm-gptel-auth-models
                         :header (lambda (&optional info)
                                   (glm-gptel-auth--header info profile)))))))

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
            (plist-get (glm-gptel-auth--call 'accounts nil) :accounts)))

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
        (message "GLM: stored the key for %s" owner)))))

;;;###autoload
(defun glm-gptel-auth-delete (host profile)
  "Delete the key stored for HOST and PROFILE, strings, after asking.
With a prefix argument, ask for these too."
  (interactive (glm-gptel-auth--read-account))
  (glm-gptel-auth--with-user-errors
    (let ((owner (glm-gptel-auth--describe host profile)))
      (when (y-or-n-p (format "Delete the key stored for %s? " owner))
        (message
         (if (eq t (plist-get (glm-gptel-auth--call
                               'delete (list :host host :profile profile))
                              :deleted))
             "GLM: deleted the key for %s"
           "GLM: no key is stored for %s")
         owner)))))

;;;###autoload
(defun glm-gptel-auth-restart ()
  "Replace the helper by a new one."
  (interactive)
  (glm-gptel-auth--stop-helper)
  (glm-gptel-auth--with-user-errors
    (let ((status (glm-gptel-auth--call 'status nil)))
      (message "GLM: helper restarted (glm-token %s, process %s)"
               (plist-get status :version) (plist-get status :pid)))))

(defun glm-gptel-auth--try (function &rest arguments)
  "Call FUNCTION with ARGUMENTS; return a failure's message instead of failing."
  (condition-case failure
      (apply function arguments)
    (glm-gptel-auth--failure (nth 2 failure))))

(defun glm-gptel-auth--status-lines ()
  "Return what there is to say of the state of things, a list of pairs."
  (let* ((helper-p (eq glm-gptel-auth-transport 'helper))
         (status (and helper-p
                      (glm-gptel-auth--try #'glm-gptel-auth--call 'status nil)))
         (accounts (glm-gptel-auth--try #'glm-gptel-auth--call 'accounts nil))
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
                          (concat (plist-get status :store)
                                  (if (eq t (plist-get status :environment))
                                      "; GLM_API_KEY is set and wins" ""))))))
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
                        (plist-get accounts :accounts) "\n"))))
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
  (when (process-live-p glm-gptel-auth--helper)
    (glm-gptel-auth--with-user-errors (glm-gptel-auth--call 'lock nil)))
  (message "GLM: locked"))

(provide 'glm-gptel-auth)
;;; glm-gptel-auth.el ends here
