;;; glm-gptel-auth-messages.el --- What Emacs says  -*- lexical-binding: t; -*-

;; Copyright (C) 2026 The glm-token developers

;; Author: The glm-token developers
;; Maintainer: The glm-token developers
;; Keywords: comm, tools
;; SPDX-License-Identifier: GPL-3.0-or-later

;; This file is part of glm-gptel-auth; see glm-gptel-auth.el for its
;; licence, the GNU General Public License.

;;; Commentary:

;; What is said of a failure, and which command is its cure.

;;; Code:


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

(provide 'glm-gptel-auth-messages)
;;; glm-gptel-auth-messages.el ends here
