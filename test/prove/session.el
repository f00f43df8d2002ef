;;; session.el --- What a person does with GLM in Emacs  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; Run by emacs-session.ts, which looks into this Emacs and its children
;; whenever it pauses.  The keys are in a real keychain, or are typed.

;;; Code:

(require 'cl-lib)
(require 'glm-gptel-auth)

(defvar auth-sources)
(defvar gptel-backend)
(defvar gptel-log-level)
(defvar gptel-model)
(defvar gptel-use-curl)
(defvar gptel--request-alist)
(declare-function auth-source-search "auth-source")
(declare-function glm-gptel-auth-source-enable "glm-gptel-auth-source")
(declare-function glm-gptel-auth-source-disable "glm-gptel-auth-source")
(declare-function gptel-send "ext:gptel")
(declare-function gptel-mode "ext:gptel")

(defconst glm-prove--host (getenv "GLM_TEST_HOST"))
(defconst glm-prove--directory (getenv "GLM_PROVE_DIRECTORY"))
(setq glm-gptel-auth-command
      (list (getenv "GLM_TEST_NODE") (getenv "GLM_TEST_SCRIPT")))

(defun glm-prove--file (name)
  "Return the path of the file NAME that is shared with emacs-session.ts."
  (expand-file-name name glm-prove--directory))

(defun glm-prove--pause (name)
  "Say that the step NAME is done, and wait until it was looked at."
  (write-region "" nil (glm-prove--file name) nil 'silent)
  (while (file-exists-p (glm-prove--file name))
    (sleep-for 0.05)))

(defun glm-prove--write-buffers ()
  "Write the text of every buffer into a file of its own."
  (cl-loop for buffer in (buffer-list) for number from 0
           do (with-current-buffer buffer
                (save-restriction
                  (widen)
                  (let ((coding-system-for-write 'utf-8-emacs))
                    (write-region nil nil
                                  (glm-prove--file (format "buffer-%d" number))
                                  nil 'silent))))))

;;;; Requests

(defun glm-prove--backend (&rest args)
  "Make a backend for the stand-in, with ARGS."
  (apply #'glm-gptel-auth-make-backend "GLM"
         (append args (list :host glm-prove--host :protocol "http"))))

(defun glm-prove--send (backend)
  "Send a prompt to BACKEND, and wait for its answer."
  (with-temp-buffer
    (rename-buffer "*glm chat*" t)
    (text-mode)
    (gptel-mode 1)
    (setq-local gptel-backend backend
                gptel-model 'glm-5.3)
    (insert "Hi")
    (gptel-send)
    (with-timeout (20 (error "No answer: %s" (buffer-string)))
      (while (or gptel--request-alist
                 (not (string-match-p "Hello from GLM" (buffer-string))))
        (accept-process-output nil 0.02)))))

(defun glm-prove--send-many (count)
  "Send COUNT requests, with curl and without, streaming and not."
  (dotimes (n count)
    (let ((gptel-use-curl (/= 0 (% n 4))))
      (glm-prove--send (glm-prove--backend :stream (cl-evenp n))))))

(defmacro glm-prove--failing (&rest body)
  "Evaluate BODY, which must signal a `user-error'."
  (declare (indent 0) (debug t))
  `(condition-case nil (progn ,@body (error "It did not fail"))
     (user-error nil)))

(defun glm-prove--get (path)
  "Get PATH from the stand-in."
  (let ((url-show-status nil))
    (kill-buffer (url-retrieve-synchronously
                  (format "http://%s%s" glm-prove--host path) t))))

(defun glm-prove--fail-often ()
  "Have requests fail in every way: no key, no program, the service's errors."
  (dolist (gptel-use-curl '(t nil))
    (dolist (glm-gptel-auth-plain '(nil t))
      (glm-prove--failing (glm-prove--send (glm-prove--backend :profile "none")))
      (let ((glm-gptel-auth-command '("/nowhere/glm-token")))
        (glm-gptel-auth--stop-helper)
        (glm-prove--failing (glm-prove--send (glm-prove--backend)))))
    (dolist (code '("401" "1003" "1004" "1113" "1302"))
      (glm-prove--get (concat "/fail/401/" code))
      (with-temp-buffer
        (text-mode)
        (setq-local gptel-backend (glm-prove--backend) gptel-model 'glm-5.3)
        (insert "Hi")
        (gptel-send)
        (with-timeout (20 (error "The request does not end"))
          (while gptel--request-alist (accept-process-output nil 0.02))))
      (glm-prove--get "/fail/200/none"))))

(defun glm-prove--use-commands ()
  "Use every command but those that a key is typed into."
  (call-interactively #'glm-gptel-auth-status)
  (call-interactively #'glm-gptel-auth-doctor)
  (call-interactively #'glm-gptel-auth-restart)
  (call-interactively #'glm-gptel-auth-source-enable)
  (let ((entry (car (auth-source-search :host glm-prove--host :user "apikey"))))
    (unless (stringp (funcall (plist-get entry :secret)))
      (error "auth-source has no token")))
  (call-interactively #'glm-gptel-auth-source-disable)
  ;; Each of its questions is answered with end of file.
  (ignore-errors (call-interactively #'glm-gptel-auth-setup))
  (call-interactively #'glm-gptel-auth-lock)
  (glm-prove--send (glm-prove--backend))
  (glm-gptel-auth--with-user-errors
    (glm-gptel-auth--request 'delete
                             (glm-gptel-auth--account glm-prove--host "other"))))

(defun glm-prove-requests ()
  "Use GLM in every way, and pause where this Emacs is worth a look."
  (require 'gptel)
  (let ((gptel-log-level 'debug)
        (glm-gptel-auth-hosts (cons glm-prove--host glm-gptel-auth-hosts)))
    (glm-prove--send-many (string-to-number (getenv "GLM_PROVE_REQUESTS")))
    (glm-prove--pause "requests")
    (let ((glm-gptel-auth-plain t))
      (glm-prove--send-many 8))
    (glm-prove--fail-often)
    (glm-prove--send (glm-prove--backend))
    (glm-prove--pause "to be killed")
    (glm-prove--send (glm-prove--backend))
    (glm-prove--pause "to be stopped")
    (let ((glm-gptel-auth--seconds 4))
      (ignore-errors (glm-prove--send (glm-prove--backend)))
      (glm-prove--send (glm-prove--backend)))
    (glm-prove--use-commands)
    (glm-prove--write-buffers)
    (glm-prove--pause "commands")))

;;;; Trouble

(defun glm-prove--recover (name)
  "Pause as NAME, while something happens to the helper; then send again.
The first request may fail, with a `user-error'; the second may not."
  (glm-prove--pause name)
  (condition-case nil
      (glm-prove--send (glm-prove--backend))
    (user-error nil))
  (glm-prove--send (glm-prove--backend)))

(defun glm-prove-trouble ()
  "Have the helper get into trouble, and go on using GLM."
  (require 'gptel)
  (let ((glm-gptel-auth--seconds 3)
        (real glm-gptel-auth-command)
        (log-file (glm-prove--file "log")))
    (glm-prove--send (glm-prove--backend))
    (dotimes (n (string-to-number (getenv "GLM_PROVE_REQUESTS")))
      (glm-prove--recover (format "killed %d" n))
      (glm-prove--recover (format "stopped %d" n)))
    (setenv "GLM_FAKE_LOG" log-file)
    (dolist (mode '("dies" "silent" "closed" "garbage" "half-frame" "wrong-id"
                    "no-token" "other-protocol"))
      (glm-gptel-auth--stop-helper)
      (setq glm-gptel-auth-command
            (list "/bin/sh" (getenv "GLM_PROVE_FAKE") mode))
      (condition-case nil
          (glm-prove--send (glm-prove--backend))
        (user-error nil))
      (setq glm-gptel-auth-command real)
      (glm-gptel-auth--stop-helper)
      (glm-prove--send (glm-prove--backend)))
    (glm-prove--pause "to be killed")))

;;;; Typing

(defun glm-prove-typing ()
  "Store a key that is typed, in the encrypted file, whose passphrase is typed too."
  ;; As M-x sets it.
  (let ((this-command #'glm-gptel-auth-store))
    (call-interactively #'glm-gptel-auth-store))
  (glm-prove--pause "typed")
  (let ((keys (concat (cl-remove-if-not #'characterp (recent-keys)))))
    (write-region keys nil (glm-prove--file "recent-keys") nil 'silent))
  (glm-prove--write-buffers)
  (glm-prove--pause "written")
  (kill-emacs))

(provide 'session)
;;; session.el ends here
