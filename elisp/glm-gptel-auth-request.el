;;; glm-gptel-auth-request.el --- Ask glm-token for tokens and the rest  -*- lexical-binding: t; -*-

;; Copyright (C) 2026 The glm-token developers

;; Author: The glm-token developers
;; Maintainer: The glm-token developers
;; Keywords: comm, tools
;; SPDX-License-Identifier: GPL-3.0-or-later

;; This file is part of glm-gptel-auth; see glm-gptel-auth.el for its
;; licence, the GNU General Public License.

;;; Commentary:

;; `glm-gptel-auth--request' has the helper do what a command needs, and
;; `glm-gptel-auth--token' asks for a token; both ask for the passphrase of the
;; key file when glm-token needs it.

;;; Code:

(require 'glm-gptel-auth)
(require 'glm-gptel-auth-messages)
(require 'glm-gptel-auth-helper)
(eval-when-compile
  (require 'subr-x))


;;;; Requests, and the passphrase that they may need

(defconst glm-gptel-auth--passphrase-tries 3
  "Number of passphrase attempts allowed.")

(defvar glm-gptel-auth--may-ask t
  "Non-nil when the user may be asked for the passphrase now.")

(defmacro glm-gptel-auth--interactive (&rest body)
  "Evaluate BODY, and ask for the passphrase of the key file if it is needed.
For commands of the user's."
  (declare (indent 0) (debug t))
  `(let ((glm-gptel-auth--may-ask t)) ,@body))

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

(defun glm-gptel-auth--read-secret (prompt)
  "Read a secret with PROMPT.
Afterwards neither the record of the last keys typed nor the minibuffer
holds it."
  (let (minibuffer)
    (unwind-protect
        (minibuffer-with-setup-hook
            (lambda () (setq minibuffer (current-buffer)))
          (read-passwd prompt))
      (clear-this-command-keys)
      (glm-gptel-auth--wipe minibuffer))))

(defun glm-gptel-auth--read-new-secret (prompt)
  "Read a passphrase with PROMPT, and again, until both are the same.
`read-passwd' by itself would ask for the second in English."
  (let (remark secret)
    (while (null secret)
      (setq secret (glm-gptel-auth--with-secret
                    (concat remark prompt) nil
                    (lambda (first)
                      (glm-gptel-auth--with-secret
                       (glm-gptel-auth--text 'ask-passphrase-repeated) nil
                       (lambda (second)
                         (and (equal first second) (copy-sequence first))))))
            remark (glm-gptel-auth--text 'passphrases-differ)))
    secret))

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
  (let ((secret (if confirm (glm-gptel-auth--read-new-secret prompt)
                  (glm-gptel-auth--read-secret prompt))))
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
     (glm-gptel-auth--fail "ERR_PASSPHRASE"
                           (glm-gptel-auth--text 'passphrase-needed)
                           (glm-gptel-auth--text 'set-passphrase-file)))))

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
         (first (glm-gptel-auth--text (if new 'ask-new-passphrase
                                        'ask-passphrase)))
         (prompt first)
         (tries glm-gptel-auth--passphrase-tries))
    (while (> tries 0)
      (condition-case failure
          (progn (glm-gptel-auth--try-passphrase prompt new store)
                 (setq tries 0))
        (glm-gptel-auth-error
         (setq tries (1- tries)
               prompt (if new (concat (glm-gptel-auth--sentence (nth 2 failure))
                                      first)
                        (glm-gptel-auth--text 'ask-passphrase-again)))
         (unless (and (> tries 0) (equal (nth 1 failure) "ERR_PASSPHRASE"))
           (signal (car failure) (cdr failure))))))))

(defun glm-gptel-auth--check-may-unlock (method)
  "Signal a failure when METHOD is not to ask for the passphrase now."
  (cond ((and (eq method 'token) (glm-gptel-auth--prints-p))
         (glm-gptel-auth--fail
          "ERR_PASSPHRASE" (glm-gptel-auth--text 'passphrase-needed)
          (glm-gptel-auth--text 'use-helper)))
        ((not glm-gptel-auth--may-ask)
         (glm-gptel-auth--fail "ERR_PASSPHRASE"
                               (glm-gptel-auth--text 'file-locked)
                               (glm-gptel-auth--text 'asks-later)))
        (glm-gptel-auth--asking
         (glm-gptel-auth--fail
          "ERR_PASSPHRASE" (glm-gptel-auth--text 'asking-already)
          (glm-gptel-auth--text 'answer-first)))))

(defun glm-gptel-auth--request (method &optional params)
  "Have glm-token do METHOD, a symbol, with PARAMS, a plist.
Return its result, a plist.  Ask for the passphrase of the key file when
glm-token needs it.  Signal `glm-gptel-auth-error' for a failure."
  (unwind-protect
      (condition-case failure
          (glm-gptel-auth--ask method params)
        (glm-gptel-auth-error
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
    (glm-gptel-auth--fail "ERR_DAEMON" (glm-gptel-auth--text 'no-token))))

(defvar glm-gptel-auth--look nil
  "Non-nil if tokens are only looked for, so that nobody is asked for anything.
It is a function that is called with each account, a plist, and its token
or what was caught in its place.")

(defun glm-gptel-auth--look-for-token (account)
  "Return a fresh token for ACCOUNT, a plist, if that needs nobody's answer."
  (let ((glm-gptel-auth--may-ask nil))
    (condition-case failure
        (let ((token (glm-gptel-auth--check-token
                      (plist-get (glm-gptel-auth--request
                                  'token (append account '(:ask :json-false)))
                                 :token))))
          (funcall glm-gptel-auth--look account token)
          token)
      (glm-gptel-auth-error
       (funcall glm-gptel-auth--look account failure)
       (signal (car failure) (cdr failure))))))

(defun glm-gptel-auth--token (account)
  "Return a fresh token, a string, for ACCOUNT, a plist.
Remember the account when there is none, so that a command that stores a
key can offer it."
  (condition-case failure
      (prog1 (if glm-gptel-auth--look (glm-gptel-auth--look-for-token account)
               (glm-gptel-auth--check-token
                (plist-get (glm-gptel-auth--request 'token account) :token)))
        (when (equal account glm-gptel-auth--failed-account)
          (setq glm-gptel-auth--failed-account nil)))
    (glm-gptel-auth-error
     (setq glm-gptel-auth--failed-account account)
     (signal (car failure) (cdr failure)))))

(provide 'glm-gptel-auth-request)
;;; glm-gptel-auth-request.el ends here
