;;; glm-gptel-auth-helper.el --- Speak with the helper of glm-token  -*- lexical-binding: t; -*-

;; Copyright (C) 2026 The glm-token developers

;; Author: The glm-token developers
;; Maintainer: The glm-token developers
;; Keywords: comm, tools
;; SPDX-License-Identifier: GPL-3.0-or-later

;; This file is part of glm-gptel-auth; see glm-gptel-auth.el for its
;; licence, the GNU General Public License.

;;; Commentary:

;; The helper is a glm-token that stays and speaks JSON-RPC, as a child of
;; Emacs or on a socket.  It is started when it is first asked, and again when
;; it ended or gives no sensible answer.

;;; Code:

(require 'glm-gptel-auth)
(require 'glm-gptel-auth-messages)
(require 'glm-gptel-auth-program)
(require 'glm-gptel-auth-process)
(eval-when-compile
  (require 'cl-lib)
  (require 'subr-x))

(declare-function jsonrpc-async-request "jsonrpc")
(declare-function make-instance "eieio")
(declare-function slot-exists-p "eieio")

;;;; The helper

(defconst glm-gptel-auth--protocol 1
  "Version of the helper's protocol that this file speaks.")

(defvar glm-gptel-auth--helper nil
  "The helper's process, or nil when there is none.")

(defvar glm-gptel-auth--launches 0
  "Number of helpers that were started, which keeps their buffers apart.")

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
  (glm-gptel-auth--start
   name
   (append '("daemon" "--stdio")
           (when glm-gptel-auth-lock-after
             (list (format "--lock-after=%s" glm-gptel-auth-lock-after))))
   ;; jsonrpc.el looks for a buffer of this name.
   (get-buffer-create (format "*%s stderr*" name))
   :coding 'utf-8-emacs-unix))

(defun glm-gptel-auth--socket ()
  "Return the file name of the socket to ask, or nil for a helper of our own."
  (let ((socket (or glm-gptel-auth-socket (getenv "GLM_TOKEN_SOCKET"))))
    (unless (member socket '(nil ""))
      (expand-file-name socket (glm-gptel-auth--local-directory)))))

(defun glm-gptel-auth--open-socket (name socket)
  "Connect to the helper at SOCKET as a process with NAME, and return it."
  (condition-case err
      (make-network-process :name name :family 'local :service socket
                            :noquery t :coding 'utf-8-emacs-unix)
    (file-error
     (glm-gptel-auth--fail nil (glm-gptel-auth--text 'socket-silent
                                                     socket (nth 2 err))
                           (glm-gptel-auth--text 'mend-socket)))))

(defun glm-gptel-auth--connect (process)
  "Speak JSON-RPC with PROCESS, a helper that was just started."
  (apply #'make-instance 'jsonrpc-process-connection
         :name (process-name process)
         :process process
         :notification-dispatcher
         (lambda (_connection method params)
           (when (eq method 'waiting)
             (process-put process 'glm-gptel-auth-wait-until
                          (glm-gptel-auth--say-waiting params))))
         ;; Otherwise every reply, tokens included, goes into a buffer.
         (if (slot-exists-p 'jsonrpc-process-connection '-events-buffer-config)
             '(:events-buffer-config (:size 0))
           '(:events-buffer-scrollback-size 0)))
  (add-function :before-while (process-filter process)
                #'glm-gptel-auth--framed-p))

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
   (list :protocol glm-gptel-auth--protocol
         :locale (glm-gptel-auth--language))
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

(defun glm-gptel-auth-helper-unload-function ()
  "Stop the helper before `unload-feature' forgets it."
  (glm-gptel-auth--stop-helper)
  nil)

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
                 (lambda (value) (setq answer (list kind value))))))
    (glm-gptel-auth--send process method params
                          (funcall take 'result) (funcall take 'error))
    (unwind-protect
        (glm-gptel-auth--wait
         process
         (lambda ()
           (or answer
               (process-get process 'glm-gptel-auth-refusal)
               (not (process-live-p process))))
         (lambda ()
           (max deadline
                (or (process-get process 'glm-gptel-auth-wait-until) 0))))
      (process-put process 'glm-gptel-auth-wait-until nil))
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
  "Return the gist of LINES of standard error, a string, or nil for none.
When node itself fails, one line says why, among others that repeat code."
  (let ((reason (cl-loop for line in lines
                         thereis (and (string-match-p "\\`[A-Za-z]*Error\\b"
                                                      line)
                                      line))))
    (when lines
      (truncate-string-to-width (or reason (string-join lines "; "))
                                200 nil nil "..."))))

(defun glm-gptel-auth--describe-trouble (process err)
  "Return what is wrong with PROCESS, a helper: a message and a hint or nil.
ERR is the error that it answered, a plist, or nil."
  (let ((data (plist-get err :data)))
    (cond (data (list (plist-get err :message) (plist-get data :hint)))
          ((process-live-p process)
           (list (glm-gptel-auth--text 'helper-late) nil))
          ((process-get process 'glm-gptel-auth-socket)
           (list (glm-gptel-auth--text
                  'socket-closed (process-get process 'glm-gptel-auth-socket))
                 (glm-gptel-auth--text 'mend-socket)))
          (t (setq glm-gptel-auth--last-words
                   (glm-gptel-auth--error-lines process))
             (let ((gist (glm-gptel-auth--summarize-errors
                          glm-gptel-auth--last-words)))
               (list (glm-gptel-auth--text (if gist 'helper-said 'helper-ended)
                                           (process-exit-status process) gist)
                     ;; That option is the only argument that the user sets.
                     (and glm-gptel-auth-lock-after
                          (eql 2 (process-exit-status process))
                          (glm-gptel-auth--text 'check-lock-after))))))))

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

(defconst glm-gptel-auth--repeatable
  '(token status accounts services explain unlock lock)
  "Methods that can safely be repeated.")

(defun glm-gptel-auth--ask-with-restart (method params)
  "Ask the helper to do METHOD with PARAMS, and return its result, a plist.
A helper that is broken or gone is started again once, if METHOD can be
repeated.  If that fails too, a token is asked for without it, which
reports what is wrong; but there is no way round a socket that was set."
  (let ((answer (glm-gptel-auth--ask-helper method params)))
    (when (and (eq (car answer) 'broken)
               (memq method glm-gptel-auth--repeatable))
      (setq answer (glm-gptel-auth--ask-helper method params)))
    (pcase answer
      (`(done ,result) result)
      ((and (guard (glm-gptel-auth--socket)) `(,_ ,message ,hint))
       (glm-gptel-auth--fail nil message hint))
      ((guard (eq method 'token)) (glm-gptel-auth--print-token params))
      (`(,_ ,message ,hint)
       ;; For that code, the cure is the doctor.
       (glm-gptel-auth--fail (unless hint "ERR_DAEMON") message hint)))))

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

(provide 'glm-gptel-auth-helper)
;;; glm-gptel-auth-helper.el ends here
