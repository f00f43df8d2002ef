;;; glm-gptel-auth-helper.el --- Find glm-token and talk to it  -*- lexical-binding: t; -*-

;; Copyright (C) 2026 The glm-token developers

;; Author: The glm-token developers
;; Maintainer: The glm-token developers
;; Keywords: comm, tools
;; SPDX-License-Identifier: GPL-3.0-or-later

;; This file is part of glm-gptel-auth; see glm-gptel-auth.el for its
;; licence, the GNU General Public License.

;;; Commentary:

;; Everything that the package knows comes from glm-token, and comes through
;; here.  `glm-gptel-auth--request' asks the helper, a glm-token that stays
;; and speaks JSON-RPC; a helper that is not there is started.
;; `glm-gptel-auth--token' is the same for tokens, which a glm-token that is
;; started for one token can print as well.

;;; Code:

(require 'glm-gptel-auth)
(eval-when-compile
  (require 'cl-lib)
  (require 'subr-x))

(declare-function jsonrpc-async-request "jsonrpc")
(declare-function json-read-from-string "json")
(declare-function make-instance "eieio")
(declare-function slot-exists-p "eieio")
(defvar json-object-type)
(defvar json-false)
(defvar json-null)

;;;; Failures

(define-error 'glm-gptel-auth--failure "GLM token")

(defconst glm-gptel-auth--cures
  '(("ERR_KEY_NOT_FOUND" . glm-gptel-auth-store)
    ("ERR_KEY_MALFORMED" . glm-gptel-auth-store)
    ("ERR_DAEMON" . glm-gptel-auth-doctor)
    ("store" . glm-gptel-auth-store))
  "Commands that cure what glm-token reports, an alist.
The keys are its error codes, and the actions that it suggests for errors
of the service.  For all others, its own hint says what to do.")

(defun glm-gptel-auth--with-cure (message code hint)
  "Return MESSAGE with the cure for CODE, or else with HINT.
All are strings; CODE and HINT may be nil."
  (let* ((command (cdr (assoc code glm-gptel-auth--cures)))
         (cure (if command (format "run M-x %s" command) hint)))
    (if cure (format "%s; %s" message cure) message)))

(defun glm-gptel-auth--fail (code message &optional hint)
  "Signal a failure with CODE, MESSAGE and HINT.
MESSAGE is a string, and each of the others a string or nil."
  (signal 'glm-gptel-auth--failure (list code message hint)))

(define-error 'glm-gptel-auth--key-refused "GLM key" 'glm-gptel-auth--failure)

(defun glm-gptel-auth--failure-text (failure)
  "Return what to say of FAILURE, a caught `glm-gptel-auth--failure'.
When a key that was typed was refused, \"store it\" is no cure."
  (pcase-let ((`(,kind ,code ,message ,hint) failure))
    (glm-gptel-auth--with-cure
     message (unless (eq kind 'glm-gptel-auth--key-refused) code) hint)))

(defun glm-gptel-auth--sentence (message)
  "Return MESSAGE, a string of glm-token's, as a sentence of its own."
  (concat (upcase (substring message 0 1)) (substring message 1) "."))

;;;; Finding the program

(defconst glm-gptel-auth--directory
  (file-name-directory
   (file-truename (or load-file-name buffer-file-name default-directory)))
  "The directory that this file was loaded from.")

(defconst glm-gptel-auth--node-places
  '("/opt/homebrew/bin" "/usr/local/bin" "~/.volta/bin" "~/.local/bin"
    "~/.local/share/mise/shims" "~/.asdf/shims" "~/.nvm/versions/node/*/bin"
    "~/.local/share/fnm/aliases/default/bin" "~/n/bin"
    "C:/Program Files/nodejs")
  "Where node may be when a desktop started Emacs with a short PATH.")

(defun glm-gptel-auth--local-directory ()
  "Return a directory on this machine that exists, wherever the buffer's is."
  (file-name-as-directory (expand-file-name "/")))

(defun glm-gptel-auth--find-node (&optional beside)
  "Return the absolute name of node, or nil.
BESIDE is a directory to search too, or nil."
  (let ((default-directory (glm-gptel-auth--local-directory)))
    (or (executable-find "node")
        (locate-file "node"
                     (delq nil
                           (cons beside
                                 (cl-loop for place in glm-gptel-auth--node-places
                                          append (nreverse
                                                  (file-expand-wildcards place t)))))
                     exec-suffixes #'file-executable-p))))

(defun glm-gptel-auth--node-script-p (file)
  "Return non-nil when FILE is a script for node, by its name or first line.
What a package manager puts in its place (pnpm, Volta, asdf, mise) is a
program or a shell script, which finds node and the script by itself."
  (or (string-match-p "\\.[cm]?js\\'" file)
      (with-temp-buffer
        (ignore-errors (insert-file-contents-literally file nil 0 200))
        (looking-at-p "#!.*[/ \t]node\\(?:[ \t\r]\\|$\\)"))))

(defun glm-gptel-auth--find-script (command)
  "Return the absolute name of glm-token's script for node, or nil.
It is beside this package in the npm package and in a checkout; else it
is what COMMAND stands for, the glm-token on variable `exec-path' or nil.
Return nil when COMMAND has to be run as it is."
  (let ((packed (expand-file-name "../dist/cli.cjs" glm-gptel-auth--directory)))
    (cond ((file-exists-p packed) packed)
          ((null command) nil)
          ;; On Windows npm makes a .cmd file beside the package's directory.
          ((string-suffix-p ".cmd" command t)
           (let ((script (expand-file-name "node_modules/glm-token/dist/cli.cjs"
                                           (file-name-directory command))))
             (and (file-exists-p script) script)))
          (t (let ((script (file-truename command)))
               (and (glm-gptel-auth--node-script-p script) script))))))

(defun glm-gptel-auth--configured-program ()
  "Return the value of `glm-gptel-auth-command' as a list of strings."
  (let* ((command (ensure-list glm-gptel-auth-command))
         (script (cadr command))
         (missing (cond ((not (executable-find (car command))) (car command))
                        ((and script
                              (string-match-p "\\.[cm]?js\\'" script)
                              (file-name-absolute-p script)
                              (not (file-exists-p script)))
                         script))))
    (when missing
      (glm-gptel-auth--fail nil (format "cannot find %s" missing)
                            "check `glm-gptel-auth-command', or set it to nil \
to have glm-token searched for"))
    command))

(defun glm-gptel-auth--found-program ()
  "Return the command line of the glm-token that is found, a list of strings.
It is a node and a script, or a program that finds both by itself."
  (let* ((command (executable-find "glm-token"))
         (script (glm-gptel-auth--find-script command))
         (node (and script
                    (glm-gptel-auth--find-node
                     (and command (file-name-directory command))))))
    (cond ((and script node) (list node script))
          (script
           (glm-gptel-auth--fail
            nil "cannot find node, which runs glm-token"
            "set `glm-gptel-auth-command' as glm-token setup prints it"))
          (command (list command))
          (t (glm-gptel-auth--fail
              nil "cannot find the program glm-token"
              "run `npm install -g .' in a checkout of glm-token")))))

(defun glm-gptel-auth--program ()
  "Return the command line of glm-token, a list of strings."
  (let ((default-directory (glm-gptel-auth--local-directory)))
    (if glm-gptel-auth-command
        (glm-gptel-auth--configured-program)
      (glm-gptel-auth--found-program))))

(defun glm-gptel-auth--environment ()
  "Return a value of `process-environment' to run glm-token with.
NODE_OPTIONS is unset, since it could have node open its debugger, where
others read keys."
  (cons "NODE_OPTIONS" process-environment))

;;;; Waiting

(defconst glm-gptel-auth--unlock-seconds 65
  "How long to wait while the keychain waits for its user, in seconds.
The program gives up after 60, and says so.")

(defvar glm-gptel-auth--waiting nil
  "Non-nil while `glm-gptel-auth--wait' reads from a process.")

(defun glm-gptel-auth--wake ()
  "Have the innermost `glm-gptel-auth--wait' check whether it is done."
  (when glm-gptel-auth--waiting
    (throw 'glm-gptel-auth--wake nil)))

(defun glm-gptel-auth--wait (process done-p deadline)
  "Read from PROCESS until function DONE-P is non-nil; return its value.
Return nil when the time, in seconds, is beyond that of DEADLINE, also a
function without arguments.

A timer watches the time, since `accept-process-output' disregards its
own limit when a process closed its output and lives on (Emacs 28, 30)."
  (let* ((inhibit-quit nil)
         (late-p (lambda () (> (float-time) (funcall deadline))))
         (timer (run-at-time 0.1 0.1
                             (lambda ()
                               (when (funcall late-p) (glm-gptel-auth--wake)))))
         done)
    (unwind-protect
        (while (not (or done (funcall late-p)))
          (catch 'glm-gptel-auth--wake
            (let ((glm-gptel-auth--waiting t))
              (unless (setq done (funcall done-p))
                (accept-process-output process 0.05 nil t)))))
      (cancel-timer timer))
    done))

(defun glm-gptel-auth--seconds-from-now (seconds)
  "Return the time in SECONDS from now, in seconds."
  (+ (float-time) seconds))

(defun glm-gptel-auth--say-waiting ()
  "Say that the keychain waits for its user; return until when to wait."
  (message "GLM: waiting for the keychain; does it ask to be unlocked? (C-g to give up)")
  (glm-gptel-auth--seconds-from-now glm-gptel-auth--unlock-seconds))

;;;; A process for one token

(defun glm-gptel-auth--parse-json (text)
  "Return the JSON object in TEXT as a plist, or nil when there is none."
  (require 'json)
  (let ((json-object-type 'plist) (json-false :json-false) (json-null nil))
    (ignore-errors
      (let ((value (json-read-from-string text)))
        (and (consp value) value)))))

(defun glm-gptel-auth--last-report (buffer)
  "Return the last line of BUFFER as a plist, or nil when it is not JSON."
  (glm-gptel-auth--parse-json
   (car (last (split-string (with-current-buffer buffer (buffer-string))
                            "\n" t)))))

(defun glm-gptel-auth--start-print (account errors take)
  "Start a glm-token that prints a token for ACCOUNT, and return its process.
Its standard error goes into buffer ERRORS.  What it prints goes to
function TAKE, so that no buffer holds a token."
  (let* ((default-directory (glm-gptel-auth--local-directory))
         (process-environment (glm-gptel-auth--environment))
         (process-adaptive-read-buffering nil)
         (options (cl-loop for (key option) in '((:host "--host=")
                                                 (:profile "--profile="))
                           for value = (plist-get account key)
                           when value collect (concat option value)))
         (process (make-process
                   :name "glm-token" :connection-type 'pipe :noquery t
                   :command (append (glm-gptel-auth--program)
                                    '("print" "--format=json") options)
                   :filter (lambda (_ text) (funcall take text))
                   :sentinel #'ignore :stderr errors :coding 'utf-8-unix))
         (pipe (get-buffer-process errors)))
    (set-process-sentinel pipe #'ignore)
    (set-process-query-on-exit-flag pipe nil)
    (ignore-errors (process-send-eof process)) ; It may have ended already.
    process))

(defun glm-gptel-auth--await-exit (process errors)
  "Wait for the end of PROCESS, whose reports are in buffer ERRORS.
Return nil when it does not end in time."
  (let ((pipe (get-buffer-process errors))
        (deadline (glm-gptel-auth--seconds-from-now
                   (max 2 glm-gptel-auth-timeout)))
        (told nil))
    (glm-gptel-auth--wait
     process
     (lambda ()
       (let ((ended (not (process-live-p process))))
         (while (accept-process-output pipe (if ended 0.02 0) nil t))
         (when (and (not told)
                    (plist-get (glm-gptel-auth--last-report errors) :waiting))
           (setq told t
                 deadline (glm-gptel-auth--say-waiting)))
         (when ended
           (while (accept-process-output process 0.02 nil t))
           t)))
     (lambda () deadline))))

(defun glm-gptel-auth--end-process (process &optional buffer)
  "End PROCESS, and kill BUFFER with its standard error.
Each may be nil."
  (let ((kill-buffer-query-functions nil)
        (pipe (and (buffer-live-p buffer) (get-buffer-process buffer))))
    (dolist (process (delq nil (list process pipe)))
      (set-process-sentinel process #'ignore)
      (delete-process process))
    (when (buffer-live-p buffer) (kill-buffer buffer))))

(defun glm-gptel-auth--print-token (account)
  "Return what a glm-token started for ACCOUNT prints, a plist with a token."
  (let ((errors (generate-new-buffer " *glm-token errors*" t))
        (output "")
        process)
    (unwind-protect
        (progn
          (setq process (glm-gptel-auth--start-print
                         account errors
                         (lambda (text) (setq output (concat output text)))))
          (unless (glm-gptel-auth--await-exit process errors)
            (glm-gptel-auth--fail
             "ERR_DAEMON" (format "glm-token did not answer within %s s"
                                  glm-gptel-auth-timeout)))
          (if (eql 0 (process-exit-status process))
              (glm-gptel-auth--parse-json output)
            (glm-gptel-auth--fail-as-reported
             (plist-get (glm-gptel-auth--last-report errors) :error)
             (process-exit-status process))))
      (glm-gptel-auth--end-process process errors))))

(defun glm-gptel-auth--fail-as-reported (report status)
  "Signal the failure in REPORT, a plist, of a program that exited with STATUS.
REPORT is nil when the program did not report any."
  (glm-gptel-auth--fail
   (or (plist-get report :code) "ERR_DAEMON")
   (or (plist-get report :message)
       (format "glm-token ended with status %s" status))
   (plist-get report :hint)))

;;;; The helper

(defconst glm-gptel-auth--protocol 1
  "Version of the helper's protocol that this file speaks.")

(defvar glm-gptel-auth--helper nil
  "The helper's process, or nil when there is none.")

(defvar glm-gptel-auth--launches 0
  "Number of helpers that were started, which keeps their buffers apart.")

(defun glm-gptel-auth--chinese-p ()
  "Return non-nil when this Emacs is set up for Chinese."
  (or (string-prefix-p "Chinese" current-language-environment)
      (string-prefix-p "zh" (or (getenv "LC_ALL") (getenv "LC_MESSAGES")
                                (getenv "LANG") ""))))

(defun glm-gptel-auth--framed-p (process string)
  "Return non-nil when STRING, just come from PROCESS, can be JSON-RPC.
Otherwise end PROCESS.  The regexp by which jsonrpc.el searches for a
header can take minutes on noise, and nothing can interrupt it."
  (let* ((header "Content-Length: ")
         (length (min (length header) (length string))))
    (or (> (buffer-size (process-buffer process)) 0) ; In the middle of one.
        (eq t (compare-strings header 0 length string 0 length))
        (progn (delete-process process) nil))))

(defun glm-gptel-auth--start-process (name)
  "Start a helper as a process with NAME, and return it."
  (let ((default-directory (glm-gptel-auth--local-directory))
        (process-environment (glm-gptel-auth--environment))
        ;; With adaptive buffering a call takes 21 ms instead of 0.3.
        (process-adaptive-read-buffering nil))
    (make-process
     :name name :connection-type 'pipe :noquery t :coding 'utf-8-emacs-unix
     :command (append (glm-gptel-auth--program) '("daemon" "--stdio")
                      (when glm-gptel-auth-lock-after
                        (list (concat "--lock-after="
                                      glm-gptel-auth-lock-after))))
     ;; jsonrpc.el looks for a buffer of this name.
     :stderr (get-buffer-create (format "*%s stderr*" name)))))

(defun glm-gptel-auth--socket ()
  "Return the file name of the socket to ask, or nil for a helper of our own."
  (let ((socket (or glm-gptel-auth-socket (getenv "GLM_TOKEN_SOCKET"))))
    (unless (member socket '(nil ""))
      (expand-file-name socket (glm-gptel-auth--local-directory)))))

(defconst glm-gptel-auth--socket-hint
  (concat "start the helper (glm-token daemon --socket), or log in again"
          " with the ssh -R that forwards it")
  "What to do when a socket gives no answer.")

(defun glm-gptel-auth--open-socket (name socket)
  "Connect to the helper at SOCKET as a process with NAME, and return it."
  (condition-case err
      (make-network-process :name name :family 'local :service socket
                            :noquery t :coding 'utf-8-emacs-unix)
    (file-error
     (glm-gptel-auth--fail nil (format "nothing answers at %s (%s)"
                                       socket (nth 2 err))
                           glm-gptel-auth--socket-hint))))

(defun glm-gptel-auth--connect (process)
  "Speak JSON-RPC with PROCESS, a helper that was just started."
  (apply #'make-instance 'jsonrpc-process-connection
         :name (process-name process)
         :process process
         :notification-dispatcher
         (lambda (_connection method _params)
           (when (eq method 'waiting)
             (process-put process 'glm-gptel-auth-wait-until
                          (glm-gptel-auth--say-waiting))))
         ;; Otherwise every reply, tokens included, goes into a buffer.
         (if (slot-exists-p 'jsonrpc-process-connection '-events-buffer-config)
             '(:events-buffer-config (:size 0))
           '(:events-buffer-scrollback-size 0)))
  (add-function :before-while (process-filter process)
                #'glm-gptel-auth--framed-p)
  (when-let* ((pipe (get-buffer-process (process-get process 'jsonrpc-stderr))))
    (set-process-sentinel pipe #'ignore)
    (set-process-query-on-exit-flag pipe nil)))

(defun glm-gptel-auth--send (process method params on-result on-error)
  "Send METHOD with PARAMS to PROCESS, a helper, without waiting.
Function ON-RESULT or ON-ERROR is called with the answer."
  (condition-case err
      (jsonrpc-async-request (process-get process 'jsonrpc-connection)
                             method (or params (make-hash-table))
                             :timeout nil
                             :success-fn on-result :error-fn on-error)
    ;; It has just ended.
    (error (funcall on-error (list :message (error-message-string err))))))

(defun glm-gptel-auth--greet (process)
  "Tell PROCESS, a new helper, the protocol and language; do not wait.
A refusal is kept as a property of PROCESS."
  (glm-gptel-auth--send
   process 'initialize
   (append (list :protocol glm-gptel-auth--protocol)
           (when (glm-gptel-auth--chinese-p) '(:locale "zh")))
   #'ignore
   (lambda (err)
     (process-put process 'glm-gptel-auth-refusal err))))

(defun glm-gptel-auth--live-helper ()
  "Return the helper's process; start or reach it when there is none."
  (let ((socket (glm-gptel-auth--socket))
        (process glm-gptel-auth--helper))
    (unless (and (process-live-p process)
                 (equal socket (process-get process 'glm-gptel-auth-socket)))
      (require 'jsonrpc)
      (glm-gptel-auth--stop-helper)
      (let ((name (format "glm-token %d"
                          (cl-incf glm-gptel-auth--launches))))
        (setq process (if socket (glm-gptel-auth--open-socket name socket)
                        (glm-gptel-auth--start-process name))
              glm-gptel-auth--helper process))
      (process-put process 'glm-gptel-auth-socket socket)
      (glm-gptel-auth--connect process)
      (glm-gptel-auth--greet process))
    process))

(defun glm-gptel-auth--stop-helper ()
  "End the helper, if there is one, and kill its buffers."
  (when-let* ((process glm-gptel-auth--helper))
    (let ((kill-buffer-query-functions nil)
          (events (get-buffer (format "*%s events*" (process-name process)))))
      (glm-gptel-auth--end-process process
                                   (process-get process 'jsonrpc-stderr))
      (dolist (buffer (list (process-buffer process) events))
        (when (buffer-live-p buffer) (kill-buffer buffer))))
    (setq glm-gptel-auth--helper nil)))

;;;; Asking the helper

(defconst glm-gptel-auth--doctor-seconds 25
  "How long to wait for the findings of glm-token's doctor, in seconds.
It uses the network, and takes up to 20; twice that when it sends a token.")

(defun glm-gptel-auth--await-answer (process method params)
  "Return the answer of PROCESS, a helper, to METHOD with PARAMS.
It is a list of `result' or `error' and a plist, or nil when PROCESS ended
or did not answer in time."
  (let* ((answer nil)
         (deadline (glm-gptel-auth--seconds-from-now
                    (cond ((not (eq method 'doctor)) glm-gptel-auth-timeout)
                          ((plist-get params :live)
                           (* 2 glm-gptel-auth--doctor-seconds))
                          (t glm-gptel-auth--doctor-seconds))))
         (take (lambda (kind)
                 (lambda (value)
                   (setq answer (list kind value))
                   ;; Not at once, since the filter of jsonrpc.el (Emacs 28)
                   ;; would leave the next message in its buffer.
                   (run-at-time 0 nil #'glm-gptel-auth--wake)))))
    (glm-gptel-auth--send process method params
                          (funcall take 'result) (funcall take 'error))
    (glm-gptel-auth--wait
     process
     (lambda ()
       (or answer
           (process-get process 'glm-gptel-auth-refusal)
           (not (process-live-p process))))
     (lambda ()
       (max deadline (or (process-get process 'glm-gptel-auth-wait-until) 0))))
    (process-put process 'glm-gptel-auth-wait-until nil)
    (if-let* ((refusal (process-get process 'glm-gptel-auth-refusal)))
        (list 'error refusal)
      answer)))

(defvar glm-gptel-auth--last-words nil
  "What the last helper that ended wrote to standard error, a list of lines.")

(defun glm-gptel-auth--error-lines (process)
  "Return what PROCESS, a helper that ended, wrote to standard error.
It is a list of the lines that are not blank."
  (let* ((buffer (process-get process 'jsonrpc-stderr))
         (pipe (and (buffer-live-p buffer) (get-buffer-process buffer))))
    (while (and pipe (accept-process-output pipe 0.02 nil t)))
    (when (buffer-live-p buffer)
      (split-string (with-current-buffer buffer (buffer-string))
                    "\n" t "[ \t\r]+"))))

(defun glm-gptel-auth--summarize-errors (lines)
  "Return the gist of LINES of standard error, a string.
It is in parentheses after a space, or empty.  When node itself fails, one
line says why, among others that repeat code."
  (let ((reason (cl-loop for line in lines
                         thereis (and (string-match-p "\\`[A-Za-z]*Error\\b"
                                                      line)
                                      line))))
    (if (null lines) ""
      (format " (%s)" (truncate-string-to-width
                       (or reason (string-join lines "; "))
                       200 nil nil "...")))))

(defun glm-gptel-auth--describe-trouble (process err)
  "Return what is wrong with PROCESS, a helper: a message and a hint or nil.
ERR is the error that it answered, a plist, or nil."
  (let ((data (plist-get err :data)))
    (cond (data (list (plist-get err :message) (plist-get data :hint)))
          ((process-live-p process)
           (list "the helper did not answer in time" nil))
          ((process-get process 'glm-gptel-auth-socket)
           (list (format "%s was closed without an answer"
                         (process-get process 'glm-gptel-auth-socket))
                 glm-gptel-auth--socket-hint))
          (t (setq glm-gptel-auth--last-words
                   (glm-gptel-auth--error-lines process))
             (list (format "the helper ended with status %s%s"
                           (process-exit-status process)
                           (glm-gptel-auth--summarize-errors
                            glm-gptel-auth--last-words))
                   nil)))))

(defun glm-gptel-auth--ask-helper (method params)
  "Ask the helper to do METHOD with PARAMS.
Return a list of `done' and its result, a plist.  Return a list of
`broken', a message and a hint or nil when the helper does not give a
sensible answer, and stop it then.  Signal what it reports otherwise."
  (let ((process (glm-gptel-auth--live-helper)))
    (pcase (glm-gptel-auth--await-answer process method params)
      (`(result ,result) (list 'done result))
      (`(,_ ,err)
       (let* ((data (plist-get err :data))
              (code (plist-get data :code)))
         (unless (member code '(nil "ERR_DAEMON"))
           (glm-gptel-auth--fail code (plist-get err :message)
                                 (plist-get data :hint)))
         (glm-gptel-auth--give-up-helper process err)))
      (_ (glm-gptel-auth--give-up-helper process nil)))))

(defun glm-gptel-auth--give-up-helper (process err)
  "Stop the helper, PROCESS, and return what was wrong with it.
ERR is the error that it answered, a plist, or nil."
  (prog1 (cons 'broken (glm-gptel-auth--describe-trouble process err))
    (glm-gptel-auth--stop-helper)))

(defvar glm-gptel-auth--latency nil
  "How long the last token took to come, in seconds, or nil.")

(defun glm-gptel-auth--ask-with-restart (method params)
  "Ask the helper to do METHOD with PARAMS, and return its result, a plist.
A helper that is broken or gone is started again once.  If that fails
too, a token is asked for without it, which reports what is wrong; but
there is no way round a socket that was set."
  (let ((answer (glm-gptel-auth--ask-helper method params)))
    (when (eq (car answer) 'broken)
      (setq answer (glm-gptel-auth--ask-helper method params)))
    (pcase answer
      (`(done ,result) result)
      ((and (guard (glm-gptel-auth--socket)) `(,_ ,message ,hint))
       (glm-gptel-auth--fail nil message hint))
      ((guard (eq method 'token)) (glm-gptel-auth--print-token params))
      (`(,_ ,message ,hint) (glm-gptel-auth--fail "ERR_DAEMON" message hint)))))

(defun glm-gptel-auth--prints-p ()
  "Return non-nil when a program is to be started for each token."
  (and (eq glm-gptel-auth-transport 'process)
       (not (glm-gptel-auth--socket))))

(defun glm-gptel-auth--ask (method params)
  "Ask glm-token to do METHOD with PARAMS, and return its result, a plist."
  (if (not (eq method 'token))
      (glm-gptel-auth--ask-with-restart method params)
    (let ((start (float-time)))
      (prog1 (if (glm-gptel-auth--prints-p)
                 (glm-gptel-auth--print-token params)
               (glm-gptel-auth--ask-with-restart method params))
        ;; Here, so that the typing of a passphrase does not count.
        (setq glm-gptel-auth--latency (- (float-time) start))))))

;;;; Requests, and the passphrase that they may need

(defconst glm-gptel-auth--passphrase-tries 3
  "Number of passphrase attempts allowed.")

(defvar glm-gptel-auth--may-ask t
  "Non-nil when the user may be asked for the passphrase now.")

(defvar glm-gptel-auth--asking nil
  "Non-nil while the user is being asked for the passphrase.")

(defun glm-gptel-auth--wipe (buffer)
  "Empty BUFFER, a minibuffer or nil, and overwrite its memory.
Text that was deleted stays in the gap of a buffer otherwise."
  (when (buffer-live-p buffer)
    (with-current-buffer buffer
      (let ((inhibit-read-only t)
            (inhibit-modification-hooks t)
            (buffer-undo-list t))
        (erase-buffer)
        (insert (make-string (gap-size) ?\s))
        (erase-buffer)))))

(defun glm-gptel-auth--read-secret (prompt confirm)
  "Read a secret with PROMPT; ask for it twice when CONFIRM is non-nil.
Afterwards neither the record of the last keys typed nor the minibuffer
holds it."
  (let (minibuffer)
    (unwind-protect
        (minibuffer-with-setup-hook
            (lambda () (setq minibuffer (current-buffer)))
          (read-passwd prompt confirm))
      (clear-this-command-keys)
      (glm-gptel-auth--wipe minibuffer))))

(defun glm-gptel-auth--sweep ()
  "Have strings that are no longer used overwritten.
The JSON that a secret was sent in is among them, and copies that Emacs
made.  Of nine to eleven (measured, Emacs 28 and 30) this leaves one to
three, in memory that Lisp does not reach."
  (garbage-collect)
  (let ((strings nil))
    (dotimes (_ 4000) (push (make-string 100 ?\s) strings))
    strings))

(defun glm-gptel-auth--with-secret (prompt confirm use)
  "Read a secret with PROMPT, and return the value of function USE for it.
CONFIRM non-nil means to ask for it twice.  Afterwards the secret is in
neither the string nor what it was typed into, nor in copies of them."
  (let ((secret (glm-gptel-auth--read-secret prompt confirm)))
    (unwind-protect (funcall use secret)
      (clear-string secret)
      (glm-gptel-auth--sweep))))

(defun glm-gptel-auth--try-passphrase (prompt confirm store)
  "Read a passphrase with PROMPT, and have the helper unlock the key file.
CONFIRM non-nil means to ask for it twice.  STORE is \"file\" when the key
file is not the store in use yet, else nil."
  (condition-case nil
      (glm-gptel-auth--with-secret
       prompt confirm
       (lambda (passphrase)
         (glm-gptel-auth--ask-with-restart
          'unlock (append (list :passphrase passphrase)
                          (when store (list :store store))))))
    ;; In batch mode, with nobody to answer.
    (end-of-file
     (glm-gptel-auth--fail "ERR_PASSPHRASE" "the key file needs its passphrase"
                           "set GLM_TOKEN_PASSPHRASE_FILE"))))

(defun glm-gptel-auth--new-file-p (store)
  "Return non-nil when the passphrase of the key file is yet to be chosen.
STORE is the store that a request names, a string, or nil for that in use."
  (let ((status (glm-gptel-auth--ask 'status nil)))
    (or (equal "new" (plist-get status :lock))
        ;; A key file that exists is the store in use.
        (and store (not (equal store (plist-get status :store)))))))

(defun glm-gptel-auth--unlock (store)
  "Ask for the passphrase of the key file until the helper accepts it.
STORE is the store that the request names, a string, or nil."
  (let* ((glm-gptel-auth--asking t)
         (new (glm-gptel-auth--new-file-p store))
         (first (if new "New passphrase for the GLM key file: "
                  "Passphrase of the GLM key file: "))
         (prompt first)
         (tries glm-gptel-auth--passphrase-tries))
    (while (> tries 0)
      (condition-case failure
          (progn (glm-gptel-auth--try-passphrase prompt new store)
                 (setq tries 0))
        (glm-gptel-auth--failure
         (setq tries (1- tries)
               prompt (if new (concat (glm-gptel-auth--sentence (nth 2 failure))
                                      " " first)
                        "Wrong passphrase. Try again: "))
         (unless (and (> tries 0) (equal (nth 1 failure) "ERR_PASSPHRASE"))
           (signal (car failure) (cdr failure))))))))

(defun glm-gptel-auth--check-may-unlock (method)
  "Signal a failure when METHOD is not to ask for the passphrase now."
  (cond ((and (eq method 'token) (glm-gptel-auth--prints-p))
         (glm-gptel-auth--fail
          "ERR_PASSPHRASE" "the key file needs its passphrase"
          "set `glm-gptel-auth-transport' to helper, which asks for it"))
        ((not glm-gptel-auth--may-ask)
         (glm-gptel-auth--fail "ERR_PASSPHRASE" "the key file is locked"
                               "the next request asks for its passphrase"))
        (glm-gptel-auth--asking
         (glm-gptel-auth--fail
          "ERR_PASSPHRASE" "the passphrase is already being asked for"
          "type it in the minibuffer, and then try again"))))

(defun glm-gptel-auth--request (method &optional params)
  "Have glm-token do METHOD, a symbol, with PARAMS, a plist.
Return its result, a plist.  Ask for the passphrase of the key file when
glm-token needs it.  Signal `glm-gptel-auth--failure' for a failure."
  (unwind-protect
      (condition-case failure
          (glm-gptel-auth--ask method params)
        (glm-gptel-auth--failure
         (unless (equal (nth 1 failure) "ERR_PASSPHRASE")
           (signal (car failure) (cdr failure)))
         (glm-gptel-auth--check-may-unlock method)
         (glm-gptel-auth--unlock (plist-get params :store))
         (glm-gptel-auth--ask method params)))
    ;; What a process sent or received last stays in the buffer that Emacs
    ;; converts text in, until the next conversion that is not trivial.
    (decode-coding-string "\xc3\xa4" 'utf-8)))

;;;; Tokens

(defun glm-gptel-auth--check-token (token)
  "Return TOKEN if it can be sent as one; signal a failure otherwise."
  (if (and (stringp token)
           (string-match-p "\\`[-A-Za-z0-9_]+\\(?:\\.[-A-Za-z0-9_]+\\)\\{2\\}\\'"
                           token))
      token
    (glm-gptel-auth--fail "ERR_DAEMON" "glm-token gave no token")))

(defun glm-gptel-auth--token (account)
  "Return a fresh token, a string, for ACCOUNT, a plist.
Remember the account when there is none, so that a command that stores a
key can offer it."
  (condition-case failure
      (prog1 (glm-gptel-auth--check-token
              (plist-get (glm-gptel-auth--request 'token account) :token))
        (when (equal account glm-gptel-auth--failed-account)
          (setq glm-gptel-auth--failed-account nil)))
    (glm-gptel-auth--failure
     (setq glm-gptel-auth--failed-account account)
     (signal (car failure) (cdr failure)))))

(provide 'glm-gptel-auth-helper)
;;; glm-gptel-auth-helper.el ends here
