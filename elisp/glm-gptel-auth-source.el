;;; glm-gptel-auth-source.el --- GLM tokens for auth-source  -*- lexical-binding: t; -*-

;; Copyright (C) 2026 The glm-token developers

;; Author: The glm-token developers
;; Maintainer: The glm-token developers
;; Keywords: comm, tools
;; SPDX-License-Identifier: GPL-3.0-or-later

;; This file is part of glm-gptel-auth; see glm-gptel-auth.el for its
;; licence, the GNU General Public License.

;;; Commentary:

;; M-x glm-gptel-auth-source-enable makes glm-token a source of auth-source:
;; a package that searches for a GLM host gets a fresh token as its password.

;;; Code:

(require 'auth-source)
(require 'cl-lib)
(require 'seq)
(require 'glm-gptel-auth)

;;;; Searching

(defun glm-gptel-auth--may-be-stored-p (host profile)
  "Return nil if no key is stored for HOST and PROFILE, strings or nil.
Nobody is asked for anything.  When the store is locked or broken, there
may be one, and the token that is asked for later signals the cure.  That
holds for `glm-gptel-auth-plain' too, since only a helper can look."
  (or (and glm-gptel-auth-plain (not glm-gptel-auth--look))
      (condition-case failure
          (let ((account (glm-gptel-auth--account host profile)))
            (if glm-gptel-auth--look (funcall glm-gptel-auth--look account)
              (glm-gptel-auth--request
               'token (append account '(:ask :json-false)))))
        (glm-gptel-auth-error
         (not (equal (nth 1 failure) "ERR_KEY_NOT_FOUND"))))))

(defun glm-gptel-auth--entry (host user port)
  "Return an entry of auth-source for HOST, USER and PORT, or nil.
USER is a profile, a string; \"apikey\" or what is no string stands for the
default one.  The secret is a function, since auth-source remembers an entry
for two hours."
  (let* ((user (if (stringp user) user "apikey"))
         (profile (unless (equal user "apikey") user))
         (port (car (ensure-list port))))
    (when (glm-gptel-auth--may-be-stored-p host profile)
      (append (list :host host :user user)
              (unless (memq port '(nil t)) (list :port port))
              (list :secret (lambda ()
                              (glm-gptel-auth-token host profile)))))))

(cl-defun glm-gptel-auth--search
    (&key host user port require delete &allow-other-keys)
  "Answer a search of auth-source for HOST, USER, PORT and REQUIRE.
Only a host of ours that is named alone is answered: mail and TRAMP search
for any host, or for several, and look for passwords of others.  With DELETE
non-nil, nothing is found and nothing deleted."
  (when (and (stringp host)
             (not delete)
             (glm-gptel-auth--our-host-p host)
             (cl-subsetp require '(:host :user :port :secret)))
    (when-let* ((entry (seq-some (lambda (user)
                                   (glm-gptel-auth--entry host user port))
                                 (or (ensure-list user) '(nil)))))
      (list entry))))

;;;; Joining auth-source

(defun glm-gptel-auth--parse (entry)
  "Return our backend if ENTRY of `auth-sources' is the symbol `glm-token'."
  (when (eq entry 'glm-token)
    (auth-source-backend-parse-parameters
     entry
     (make-instance 'auth-source-backend :source "glm-token" :type 'glm-token
                    :search-function #'glm-gptel-auth--search))))

;;;###autoload
(defun glm-gptel-auth-source-enable ()
  "Give fresh GLM tokens to every package that asks auth-source for them."
  (interactive)
  (add-hook 'auth-source-backend-parser-functions #'glm-gptel-auth--parse)
  (add-to-list 'auth-sources 'glm-token)
  (auth-source-forget-all-cached)
  (when (called-interactively-p 'any)
    (glm-gptel-auth--say "auth-source gives out GLM tokens in this session")))

;;;###autoload
(defun glm-gptel-auth-source-disable ()
  "Undo what `glm-gptel-auth-source-enable' did."
  (interactive)
  (setq auth-sources (remq 'glm-token auth-sources))
  (remove-hook 'auth-source-backend-parser-functions #'glm-gptel-auth--parse)
  (auth-source-forget-all-cached)
  (when (called-interactively-p 'any)
    (glm-gptel-auth--say "auth-source no longer gives out GLM tokens")))

(defun glm-gptel-auth-source-unload-function ()
  "Leave auth-source before its parser is gone."
  (glm-gptel-auth-source-disable)
  nil)

(provide 'glm-gptel-auth-source)
;;; glm-gptel-auth-source.el ends here
