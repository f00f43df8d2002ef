;;; glm-gptel-auth-commands.el --- Store keys, and look after glm-token  -*- lexical-binding: t; -*-

;; Copyright (C) 2026 The glm-token developers

;; Author: The glm-token developers
;; Maintainer: The glm-token developers
;; Keywords: comm, tools
;; SPDX-License-Identifier: GPL-3.0-or-later

;; This file is part of glm-gptel-auth; see glm-gptel-auth.el for its
;; licence, the GNU General Public License.

;;; Commentary:

;; The M-x commands that look after keys and the helper: store and delete
;; keys, show the status, restart and lock.

;;; Code:

(require 'cl-lib)
(require 'subr-x)
(require 'glm-gptel-auth)
(require 'glm-gptel-auth-request)

(declare-function auth-source-forget-all-cached "auth-source")
(declare-function gptel-backend-host "ext:gptel-request" t t)
(defvar gptel-backend)

;;;; Which account

(defun glm-gptel-auth--likely-account ()
  "Return the account, a plist, that a command is most likely meant for.
It is the one that failed last, else that of the current gptel backend
if its host is ours, else the default."
  (let ((backend (bound-and-true-p gptel-backend)))
    (cond (glm-gptel-auth--failed-account)
          ((and backend
                (glm-gptel-auth--our-host-p (gptel-backend-host backend)))
           (glm-gptel-auth--account-of-backend backend))
          (t (glm-gptel-auth--account)))))

(defun glm-gptel-auth--try (method &optional params)
  "Return the result of METHOD with PARAMS, or the message of its failure.
Do not ask for a passphrase."
  (condition-case failure
      (let ((glm-gptel-auth--may-ask nil))
        (glm-gptel-auth--request method params))
    (glm-gptel-auth-error (glm-gptel-auth--failure-text failure))))

(defun glm-gptel-auth--complete-account (account)
  "Return ACCOUNT, a plist, with glm-token's defaults for what it lacks.
What glm-token cannot say now is absent."
  (if (and (plist-get account :host) (plist-get account :profile))
      account
    (let ((answer (glm-gptel-auth--try 'accounts)))
      (append account (and (consp answer) (plist-get answer :default))))))

(defun glm-gptel-auth--read-account ()
  "Return a list of the host and the profile that a command is for.
With a prefix argument, ask for them.  Each is a string, or nil for the
default of glm-token."
  (let ((account (glm-gptel-auth--likely-account)))
    (if (not current-prefix-arg)
        (list (plist-get account :host) (plist-get account :profile))
      (setq account (glm-gptel-auth--complete-account account))
      (let ((host (plist-get account :host))
            (profile (plist-get account :profile)))
        (mapcar (lambda (answer) (unless (equal answer "") answer))
                (list (completing-read
                       (glm-gptel-auth--prompt 'host host)
                       glm-gptel-auth-hosts nil nil nil nil host)
                      (read-string
                       (glm-gptel-auth--prompt 'profile profile)
                       nil nil profile)))))))

(defun glm-gptel-auth--describe (account)
  "Return a description of ACCOUNT, a plist, to use in a sentence."
  (let ((host (or (plist-get account :host)
                  (glm-gptel-auth--text 'default-host)))
        (profile (plist-get account :profile)))
    (if (member profile '(nil "default")) host
      (glm-gptel-auth--text 'account host profile))))

;;;; Storing and deleting

(defun glm-gptel-auth--forget ()
  "Make auth-source forget what it found, and what it did not find."
  (when (featurep 'auth-source) (auth-source-forget-all-cached)))

(defun glm-gptel-auth--offer-file (params failure)
  "Store as PARAMS say in the encrypted file, if the user agrees to that.
FAILURE, as it was caught, says why the keychain keeps no key; it is
signalled again when the user does not agree, or chose a store."
  (let ((status (glm-gptel-auth--try 'status)))
    (if (and (member (nth 1 failure) '("ERR_STORE_UNAVAILABLE"
                                       "ERR_STORE_LOCKED"))
             (equal "keychain" (plist-get (and (consp status) status) :store))
             (y-or-n-p (concat (glm-gptel-auth--sentence (nth 2 failure))
                               (glm-gptel-auth--text 'ask-file-instead))))
        (glm-gptel-auth--request 'store (append params '(:store "file")))
      (signal (car failure) (cdr failure)))))

(defun glm-gptel-auth--store-as (params)
  "Have glm-token store as PARAMS say, a plist, and return its answer.
What it finds wrong with the key is told with its own hint, since the
cure for a malformed key that is stored would be to store it."
  (condition-case failure
      (glm-gptel-auth--request 'store params)
    (glm-gptel-auth-error
     (if (equal (nth 1 failure) "ERR_KEY_MALFORMED")
         (signal 'glm-gptel-auth--key-refused (cdr failure))
       (glm-gptel-auth--offer-file params failure)))))

(defun glm-gptel-auth--store (params store)
  "Store as PARAMS say, a plist; ask before replacing another key.
STORE is the function that sends PARAMS to glm-token the first time.
Return what glm-token answers, a plist."
  (let ((answer (funcall store params)))
    (if (or (eq t (plist-get answer :stored))
            (not (y-or-n-p
                  (glm-gptel-auth--text
                   'ask-replace
                   (or (plist-get answer :existing)
                       (glm-gptel-auth--text 'not-well-formed))
                   (glm-gptel-auth--describe answer)))))
        answer
      (glm-gptel-auth--request 'store
                               (append params '(:replace t)
                                       (list :store (plist-get answer :store)))))))

(defun glm-gptel-auth--store-key (account key)
  "Store KEY, a string, for ACCOUNT, a plist; ask before replacing another.
Return what glm-token answers, a plist."
  (glm-gptel-auth--store (append account (list :key key))
                         #'glm-gptel-auth--store-as))

(defun glm-gptel-auth--read-and-store (account prompt store)
  "Ask for the key of ACCOUNT, a plist, with PROMPT, store it, and clear it.
STORE is where to, a string, or nil for the store in use.  Ask before
another key is replaced.  Return the result of `store', a plist."
  (glm-gptel-auth--with-secret
   prompt nil
   (lambda (key)
     (glm-gptel-auth--store-key (append account (when store (list :store store)))
                                key))))

(defconst glm-gptel-auth--key-tries 3
  "Number of attempts to type a key that are allowed.")

(defun glm-gptel-auth--ask-for-key (account what)
  "Ask for the key of ACCOUNT, a plist, store it, and return the answer.
WHAT, a string, is what the prompt says of the key besides.  A key that
is not well-formed is asked for again."
  (let ((prompt (glm-gptel-auth--text
                 'ask-key
                 (glm-gptel-auth--describe
                  (glm-gptel-auth--complete-account account))
                 what))
        (tries glm-gptel-auth--key-tries)
        (remark "")
        answer)
    (while (null answer)
      (condition-case refusal
          (setq answer (glm-gptel-auth--with-secret
                        (concat remark prompt) nil
                        (lambda (key) (glm-gptel-auth--store-key account key))))
        (glm-gptel-auth--key-refused
         (setq tries (1- tries)
               remark (glm-gptel-auth--sentence (nth 2 refusal)))
         (when (zerop tries) (signal (car refusal) (cdr refusal))))))
    (glm-gptel-auth--after-change account)
    answer))

(defun glm-gptel-auth--after-change (account)
  "Forget what is known of ACCOUNT, a plist, whose key has changed."
  (when (equal account glm-gptel-auth--failed-account)
    (setq glm-gptel-auth--failed-account nil))
  (glm-gptel-auth--forget))

(defun glm-gptel-auth--store-command (account command)
  "Keep COMMAND, a list of strings, for ACCOUNT, a plist, in place of a key.
Return what glm-token answers, a plist, once the command printed a key."
  (prog1 (glm-gptel-auth--store
          (append account (list :command (vconcat command)))
          (lambda (params) (glm-gptel-auth--request 'store params)))
    (glm-gptel-auth--after-change account)))

(defun glm-gptel-auth--read-command ()
  "With a prefix argument, ask for a command; return a list of its words.
Return nil when none prints the key.  The history does not keep the answer,
which may be a key that was pasted by mistake; that is refused."
  (when (and current-prefix-arg
             (y-or-n-p (glm-gptel-auth--text 'ask-from-command)))
    (let ((command (read-shell-command (glm-gptel-auth--text 'ask-command)
                                       nil t)))
      (when (string-match-p "\\`[^./ ]+\\.[^./ ]\\{12,\\}\\'" command)
        (user-error "%s" (glm-gptel-auth--text
                          'glm (glm-gptel-auth--text 'key-not-command))))
      (split-string-shell-command command))))

;;;###autoload
(defun glm-gptel-auth-store (&optional host profile command)
  "Ask for an API key and store it for HOST and PROFILE, strings or nil.
They default to the account that failed last, else to that of the current
gptel backend, else to the default of glm-token.

COMMAND, a list of strings, is a program with its arguments that prints the
key, such as that of a password manager.  It is kept in place of the key, and
run without a shell when the key is needed; it must hold no secret.

With a prefix argument, ask for all of them, and whether there is a COMMAND."
  (interactive (append (glm-gptel-auth--read-account)
                       (list (glm-gptel-auth--read-command))))
  (glm-gptel-auth--with-user-errors
    (let* ((account (glm-gptel-auth--account host profile))
           (answer (if command (glm-gptel-auth--store-command account command)
                     (glm-gptel-auth--ask-for-key account "id.secret")))
           (title (glm-gptel-auth--describe answer)))
      (cond ((not (eq t (plist-get answer :stored)))
             (glm-gptel-auth--say 'kept title))
            (command
             (glm-gptel-auth--say 'from-command title
                                  (file-name-nondirectory (car command))))
            (t (glm-gptel-auth--say 'stored title (plist-get answer :title)))))))

;;;###autoload
(defun glm-gptel-auth-delete (&optional host profile)
  "Delete the key stored for HOST and PROFILE, strings or nil, after asking.
They default to the account that failed last, else to that of the current
gptel backend, else to the default of glm-token.  With a prefix argument,
ask for them too."
  (interactive (glm-gptel-auth--read-account))
  (glm-gptel-auth--with-user-errors
    (let ((account (glm-gptel-auth--account host profile)))
      (when (y-or-n-p (glm-gptel-auth--text
                       'ask-delete
                       (glm-gptel-auth--describe
                        (glm-gptel-auth--complete-account account))))
        (let ((answer (glm-gptel-auth--request 'delete account)))
          (glm-gptel-auth--after-change account)
          (glm-gptel-auth--say (if (eq t (plist-get answer :deleted)) 'deleted
                                 'not-stored)
                               (glm-gptel-auth--describe answer)))))))

;;;; The helper

;;;###autoload
(defun glm-gptel-auth-restart ()
  "Restart the helper, or connect again to the one on a socket."
  (interactive)
  (glm-gptel-auth--stop-helper)
  (glm-gptel-auth--with-user-errors
    (let ((status (glm-gptel-auth--request 'status)))
      (glm-gptel-auth--say (if (glm-gptel-auth--socket) 'reconnected 'restarted)
                           (plist-get status :version)
                           (plist-get status :pid)))))

;;;###autoload
(defun glm-gptel-auth-lock ()
  "Have the helper forget the passphrase of the key file, and held keys.
Held keys are those that commands printed.  A helper on a socket forgets
all that for everyone whom it serves.  The OS keychain is not changed:
lock it with its own program."
  (interactive)
  ;; A helper on a socket outlives the connection, so it has to be told.  One
  ;; of our own ends, since one that hangs could not be told.
  (when (glm-gptel-auth--socket)
    (glm-gptel-auth--with-user-errors (glm-gptel-auth--request 'lock)))
  (glm-gptel-auth--stop-helper)
  (glm-gptel-auth--say 'locked))

;;;; Showing rows in a buffer

(defun glm-gptel-auth--show (buffer title rows refresh)
  "Show TITLE and ROWS in the buffer named BUFFER, and go there.
Each row is a pair of a name and a text; the name is a string, or a symbol
that stands for a text of ours.  REFRESH is a function that `revert-buffer'
calls there."
  (with-current-buffer (get-buffer-create buffer)
    (special-mode)
    (setq-local revert-buffer-function (lambda (&rest _) (funcall refresh)))
    (let ((inhibit-read-only t)
          (margin (concat "\n" (make-string 12 ?\s))))
      (erase-buffer)
      (insert (propertize title 'face 'bold) "\n\n")
      (pcase-dolist (`(,name . ,text) rows)
        (insert (propertize (format "%-12s" (if (symbolp name)
                                                (glm-gptel-auth--text name)
                                              name))
                            'face 'shadow)
                (string-replace "\n" margin (if (equal text "")
                                                  (glm-gptel-auth--text 'none)
                                                text))
                "\n"))
      (goto-char (point-min)))
    (pop-to-buffer (current-buffer))))

(defun glm-gptel-auth--try-program ()
  "Return the command line of glm-token, or why there is none, a string."
  (condition-case failure
      (string-join (glm-gptel-auth--program) " ")
    (glm-gptel-auth-error (glm-gptel-auth--failure-text failure))))

;;;; Status

(defun glm-gptel-auth--describe-helper (status)
  "Return a description, a string, of the helper that answered STATUS."
  (glm-gptel-auth--text
   'helper-is (plist-get status :pid) (plist-get status :version)
   (format-seconds (glm-gptel-auth--text 'uptime)
                   (/ (plist-get status :uptime) 1000))
   (plist-get status :tokens)))

(defun glm-gptel-auth--describe-store (status accounts)
  "Return a description, a string, of the store in STATUS, the helper's plist.
ACCOUNTS is a plist too, or a string that says why it cannot be listed."
  (let ((store (plist-get status :title))
        (state (pcase (plist-get status :lock)
                 ("locked" 'store-locked)
                 ("unlocked" 'store-unlocked)
                 ("new" 'store-new)
                 ((guard (stringp accounts)) 'store-unavailable))))
    (when state (setq store (glm-gptel-auth--text state store)))
    (if (eq t (plist-get status :environment))
        (glm-gptel-auth--text 'environment-first store)
      store)))

(defun glm-gptel-auth--describe-accounts (answer)
  "Return a description, a string, of the accounts in ANSWER, a plist."
  (mapconcat (lambda (account)
               (glm-gptel-auth--text
                'account-is
                (glm-gptel-auth--describe account)
                (or (plist-get account :id) (plist-get account :program)
                    (glm-gptel-auth--text 'not-a-key))
                (plist-get account :store)))
             (plist-get answer :accounts) "\n"))

(defun glm-gptel-auth--status-rows ()
  "Return the rows of the status buffer, a list of pairs."
  (let* ((status (glm-gptel-auth--try 'status))
         (accounts (glm-gptel-auth--try 'accounts))
         (socket (glm-gptel-auth--socket)))
    `((transport-row . ,(cond (socket (glm-gptel-auth--text 'transport-socket
                                                            socket))
                              ((eq glm-gptel-auth-transport 'helper)
                               (glm-gptel-auth--text 'transport-helper))
                              (t (glm-gptel-auth--text 'transport-process))))
      (helper-row . ,(if (stringp status) status
                       (glm-gptel-auth--describe-helper status)))
      (store-row . ,(if (stringp status) (glm-gptel-auth--text 'unknown)
                      (glm-gptel-auth--describe-store status accounts)))
      (latency-row . ,(if glm-gptel-auth--latency
                          (glm-gptel-auth--text 'latency
                                                (* 1000 glm-gptel-auth--latency))
                        (glm-gptel-auth--text 'no-latency)))
      (accounts-row . ,(if (stringp accounts) accounts
                         (glm-gptel-auth--describe-accounts accounts)))
      (program-row . ,(glm-gptel-auth--try-program))
      (versions-row . ,(glm-gptel-auth--text 'versions glm-gptel-auth-version
                                             emacs-version)))))

;;;###autoload
(defun glm-gptel-auth-status ()
  "Show a summary of the helper and what it serves; no secret."
  (interactive)
  (glm-gptel-auth--show "*glm-token status*" (glm-gptel-auth--text 'status-title)
                        (glm-gptel-auth--status-rows) #'glm-gptel-auth-status))

(provide 'glm-gptel-auth-commands)
;;; glm-gptel-auth-commands.el ends here
