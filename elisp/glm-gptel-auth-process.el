;;; glm-gptel-auth-process.el --- Run glm-token and wait for it  -*- lexical-binding: t; -*-

;; Copyright (C) 2026 The glm-token developers

;; Author: The glm-token developers
;; Maintainer: The glm-token developers
;; Keywords: comm, tools
;; SPDX-License-Identifier: GPL-3.0-or-later

;; This file is part of glm-gptel-auth; see glm-gptel-auth.el for its
;; licence, the GNU General Public License.

;;; Commentary:

;; How to wait for a process of glm-token, and the process that prints one
;; token: for those who set `glm-gptel-auth-transport', and for when the helper
;; does not work.

;;; Code:

(require 'glm-gptel-auth)
(require 'glm-gptel-auth-messages)
(require 'glm-gptel-auth-program)
(eval-when-compile
  (require 'cl-lib))


;;;; Waiting

(defconst glm-gptel-auth--unlock-seconds 65
  "How long to wait while the keychain waits for its user, in seconds.
The program gives up after 60, and says so.")

(defvar glm-gptel-auth--waiting nil
  "Non-nil while `glm-gptel-auth--wait' reads from a process.")

(defun glm-gptel-auth--wait (process done-p deadline)
  "Read from PROCESS until function DONE-P is non-nil; return its value.
Return nil when the time, in seconds, is beyond that of DEADLINE, also a
function without arguments.

A timer watches the time, since `accept-process-output' disregards its
own limit when a process closed its output and lives on (Emacs 28, 30).
It throws only when the time is over: the throw would cut short a timer
of another package that happens to wait meanwhile."
  (let* ((inhibit-quit nil)
         (late-p (lambda () (> (float-time) (funcall deadline))))
         (timer (run-at-time 0.1 0.1
                             (lambda ()
                               (when (and glm-gptel-auth--waiting
                                          (funcall late-p))
                                 (throw 'glm-gptel-auth--late nil)))))
         done)
    (unwind-protect
        (while (not (or done (funcall late-p)))
          (catch 'glm-gptel-auth--late
            (let ((glm-gptel-auth--waiting t))
              (unless (setq done (funcall done-p))
                (accept-process-output process 0.05 nil t)
                ;; Now jsonrpc.el (Emacs 30) hands on what came, by a timer.
                (accept-process-output process 0 nil t)))))
      (cancel-timer timer))
    done))

(defun glm-gptel-auth--seconds-from-now (seconds)
  "Return the time in SECONDS from now, in seconds."
  (+ (float-time) seconds))

(defun glm-gptel-auth--say-waiting (report)
  "Say what waits for a person, and return until when to wait.
REPORT is a plist that names the program of a command, or none, and then it
is the keychain."
  (let ((program (plist-get report :program)))
    (if program (glm-gptel-auth--say 'waiting-for program)
      (glm-gptel-auth--say 'waiting)))
  (glm-gptel-auth--seconds-from-now glm-gptel-auth--unlock-seconds))

;;;; Processes

(defun glm-gptel-auth--start (name arguments errors &rest options)
  "Start glm-token with ARGUMENTS as a process with NAME, and return it.
Its standard error goes into buffer ERRORS, which is killed when it cannot
be started.  OPTIONS are further arguments of `make-process'."
  (let ((default-directory (glm-gptel-auth--local-directory))
        (process-environment (glm-gptel-auth--environment))
        ;; With adaptive buffering a call takes 21 ms instead of 0.3.
        (process-adaptive-read-buffering nil)
        process)
    (unwind-protect
        (condition-case err
            (setq process
                  (apply #'make-process
                         :name name :connection-type 'pipe :noquery t
                         :command (append (glm-gptel-auth--program) arguments)
                         :stderr errors options))
          (file-error
           (glm-gptel-auth--fail "ERR_DAEMON"
                                 (glm-gptel-auth--text
                                  'cannot-start (error-message-string err)))))
      (unless process (glm-gptel-auth--end-process nil errors)))
    (let ((pipe (get-buffer-process errors)))
      (set-process-sentinel pipe #'ignore)
      (set-process-query-on-exit-flag pipe nil))
    process))

(defun glm-gptel-auth--end-process (process &optional buffer)
  "End PROCESS, and kill BUFFER with its standard error.
Each may be nil."
  (let ((kill-buffer-query-functions nil)
        (pipe (and (buffer-live-p buffer) (get-buffer-process buffer))))
    (dolist (process (delq nil (list process pipe)))
      (set-process-sentinel process #'ignore)
      (delete-process process))
    (when (buffer-live-p buffer) (kill-buffer buffer))))

;;;; A process for one token

(defun glm-gptel-auth--last-report (buffer)
  "Return the last line of BUFFER as a plist, or nil when it is not JSON."
  (glm-gptel-auth--parse-json
   (car (last (split-string (with-current-buffer buffer (buffer-string))
                            "\n" t)))))

(defun glm-gptel-auth--start-print (account errors take)
  "Start a glm-token that prints a token for ACCOUNT, and return its process.
Its standard error goes into buffer ERRORS.  What it prints goes to
function TAKE, so that no buffer holds a token."
  (let* ((options (cl-loop for (key option) in '((:host "--host=")
                                                 (:profile "--profile="))
                           for value = (plist-get account key)
                           when value collect (concat option value)))
         (process (glm-gptel-auth--start
                   "glm-token" (append '("print" "--format=json") options)
                   errors
                   :filter (lambda (_ text) (funcall take text))
                   :sentinel #'ignore :coding 'utf-8-unix)))
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
         (let ((report (glm-gptel-auth--last-report errors)))
           (when (and (not told) (plist-get report :waiting))
             (setq told t
                   deadline (glm-gptel-auth--say-waiting report))))
         (when ended
           (while (accept-process-output process 0.02 nil t))
           t)))
     (lambda () deadline))))

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
             "ERR_DAEMON" (glm-gptel-auth--text 'print-late
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
       (glm-gptel-auth--text 'print-ended status))
   (plist-get report :hint)))

(provide 'glm-gptel-auth-process)
;;; glm-gptel-auth-process.el ends here
