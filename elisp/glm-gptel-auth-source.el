;;; glm-gptel-auth-source.el --- GLM tokens for auth-source  -*- lexical-binding: t; -*-

;; Copyright (C) 2026 The glm-token developers

;; Author: The glm-token developers
;; Maintainer: The glm-token developers
;; Keywords: comm, tools
;; SPDX-License-Identifier: GPL-3.0-or-later

;; This file is part of glm-gptel-auth; see glm-gptel-auth.el for its
;; licence, the GNU General Public License.

;;; Commentary:

;; M-x glm-gptel-auth-source-enable makes glm-token a source of auth-source,
;; so that every package that asks auth-source for the password of a GLM host
;; gets a fresh token.  The secret of an entry is a function that asks for
;; it, since auth-source remembers what it found, for two hours.

;;; Code:

(require 'auth-source)
(require 'cl-lib)
(require 'glm-gptel-auth)
(require 'glm-gptel-auth-request)
(eval-when-compile
  (require 'subr-x))

;;;; What was asked for

(defun glm-gptel-auth--as-list (value)
  "Return VALUE of a search as a list of strings; nil for any."
  (cond ((memq value '(t nil)) nil)
        ((listp value) (mapcar (lambda (item) (format "%s" item)) value))
        (t (list (format "%s" value)))))

(defun glm-gptel-auth--profile-of (user)
  "Return the profile that USER of auth-source stands for, or nil.
USER is a string or nil; \"apikey\" stands for the default profile."
  (if (member user '(nil "" "apikey")) glm-gptel-auth-profile user))

(defun glm-gptel-auth--asked-for (key search)
  "Return the value of KEY in SEARCH, arguments of a backend, as the user gave it.
auth-source puts its own values before those; it searches all sources
with a `:create' of nil before it creates an entry."
  (plist-get (cddr (plist-member search key)) key))

;;;; What there is

(defun glm-gptel-auth--match-p (account hosts users default)
  "Return non-nil when ACCOUNT, a plist, matches HOSTS and USERS.
Both are lists of strings, or nil for any; the user \"apikey\" is the
profile DEFAULT."
  (let ((host (plist-get account :host))
        (profile (plist-get account :profile)))
    (and (or (null hosts) (assoc-string host hosts t))
         (glm-gptel-auth--our-host-p host)
         (or (null users)
             (member profile users)
             (and (equal profile default) (member "apikey" users))))))

(defun glm-gptel-auth--pairs (accounts default)
  "Return each of ACCOUNTS, plists, once as a pair of host and profile.
Those with the profile DEFAULT come first."
  (let ((pairs (cl-remove-duplicates
                (mapcar (lambda (account)
                          (cons (plist-get account :host)
                                (plist-get account :profile)))
                        accounts)
                :test #'equal :from-end t))
        (default-p (lambda (pair) (equal (cdr pair) default))))
    (append (cl-remove-if-not default-p pairs)
            (cl-remove-if default-p pairs))))

(defun glm-gptel-auth--pair-asked-for (hosts users)
  "Return the first of HOSTS and the profile of the first of USERS, in a list."
  (list (cons (car hosts) (glm-gptel-auth--profile-of (car users)))))

(defun glm-gptel-auth--missing-p (accounts hosts users)
  "Return non-nil when a search for HOSTS and USERS lacks a key, not a match.
That is so when none of ACCOUNTS is for HOSTS, or when USERS has the name
that stands for the default profile."
  (and hosts
       (or (member "apikey" users)
           (cl-notany (lambda (account)
                        (glm-gptel-auth--match-p account hosts nil nil))
                      accounts))))

(defun glm-gptel-auth--find (hosts users answer-missing)
  "Return pairs of host and profile that match HOSTS and USERS.
Both are lists of strings, or nil for any.  ANSWER-MISSING non-nil means
that a search for a key that is not stored finds what it asked for: its
secret signals the cure, which \"not found\" would not.  The same holds
when glm-token fails, since an error would keep auth-source from
searching its other sources."
  (condition-case nil
      (let* ((glm-gptel-auth--may-ask nil)
             (answer (glm-gptel-auth--request 'accounts))
             (accounts (append (plist-get answer :accounts) nil))
             (default (or glm-gptel-auth-profile
                          (plist-get (plist-get answer :default) :profile))))
        (or (glm-gptel-auth--pairs
             (cl-remove-if-not (lambda (account)
                                 (glm-gptel-auth--match-p account hosts users
                                                          default))
                               accounts)
             default)
            (and answer-missing
                 (glm-gptel-auth--missing-p accounts hosts users)
                 (glm-gptel-auth--pair-asked-for hosts users))))
    (glm-gptel-auth-error
     (glm-gptel-auth--pair-asked-for (or hosts glm-gptel-auth-hosts) users))))

;;;; Searching

(defun glm-gptel-auth--entry (host profile users port)
  "Return an entry of auth-source for HOST and PROFILE, strings.
PROFILE nil is the default profile.  USERS and PORT were asked for."
  (append (list :host host
                :user (if (and profile (or (member profile users)
                                           (not (member "apikey" users))))
                          profile
                        "apikey"))
          (when-let* ((ports (glm-gptel-auth--as-list port)))
            (list :port (car ports)))
          (list :secret (lambda ()
                          (glm-gptel-auth--token-for-request host profile)))))

(defun glm-gptel-auth--create (hosts users)
  "Store a key for the first of HOSTS and USERS; return their pair in a list."
  (let ((pairs (glm-gptel-auth--pair-asked-for hosts users)))
    (glm-gptel-auth-store (caar pairs) (cdar pairs))
    pairs))

(defun glm-gptel-auth--delete-keys (pairs)
  "Delete the keys of PAIRS of host and profile."
  (pcase-dolist (`(,host . ,profile) pairs)
    (glm-gptel-auth--with-user-errors
      (glm-gptel-auth--request 'delete
                               (glm-gptel-auth--account host profile))))
  (auth-source-forget-all-cached))

(cl-defun glm-gptel-auth--search
    (&rest search &key host user port max require create delete
           &allow-other-keys)
  "Answer SEARCH of auth-source.
HOST, USER, PORT, MAX, REQUIRE, CREATE and DELETE are as in
`auth-source-search'.  The secret is a function that returns a token."
  (let* ((asked (glm-gptel-auth--as-list host))
         (hosts (cl-remove-if-not #'glm-gptel-auth--our-host-p asked))
         (users (glm-gptel-auth--as-list user))
         (answer-missing (not (or create delete
                                  (glm-gptel-auth--asked-for :create search)
                                  (eql 0 (glm-gptel-auth--asked-for :max search))))))
    ;; For a host that is not ours, nothing is started or asked.
    (when (and (or hosts (null asked))
               (cl-subsetp require (if port '(:host :user :port :secret)
                                     '(:host :user :secret))))
      (let* ((found (or (glm-gptel-auth--find hosts users answer-missing)
                        (and create hosts
                             (glm-gptel-auth--create hosts users))))
             (pairs (seq-take found (max 1 (or max 1)))))
        (when delete (glm-gptel-auth--delete-keys pairs))
        (mapcar (pcase-lambda (`(,host . ,profile))
                  (glm-gptel-auth--entry host profile users port))
                pairs)))))

;;;; Joining auth-source

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
  (add-hook 'auth-source-backend-parser-functions #'glm-gptel-auth--parse)
  (add-to-list 'auth-sources 'glm-token)
  (auth-source-forget-all-cached)
  (when (called-interactively-p 'any) (glm-gptel-auth--say 'source-enabled)))

;;;###autoload
(defun glm-gptel-auth-source-disable ()
  "Undo what `glm-gptel-auth-source-enable' did."
  (interactive)
  (setq auth-sources (remq 'glm-token auth-sources))
  (remove-hook 'auth-source-backend-parser-functions #'glm-gptel-auth--parse)
  (auth-source-forget-all-cached)
  (when (called-interactively-p 'any) (glm-gptel-auth--say 'source-disabled)))

(defun glm-gptel-auth-source-unload-function ()
  "Leave auth-source before its parser is gone."
  (glm-gptel-auth-source-disable)
  nil)

(provide 'glm-gptel-auth-source)
;;; glm-gptel-auth-source.el ends here
