;;; glm-gptel-auth-doctor.el --- Find out why there is no token  -*- lexical-binding: t; -*-

;; Copyright (C) 2026 The glm-token developers

;; Author: The glm-token developers
;; Maintainer: The glm-token developers
;; Keywords: comm, tools
;; SPDX-License-Identifier: GPL-3.0-or-later

;; This file is part of glm-gptel-auth; see glm-gptel-auth.el for its
;; licence, the GNU General Public License.

;;; Commentary:

;; M-x glm-gptel-auth-doctor checks what the next request will use: what only
;; Emacs can see (the program that it starts, gptel, its backends,
;; auth-source), and then, for the account of each backend, what glm-token's
;; own doctor finds (store, key, host, clock).

;;; Code:

(require 'cl-lib)
(require 'subr-x)
(require 'glm-gptel-auth)
(require 'glm-gptel-auth-request)
(require 'glm-gptel-auth-commands)

(declare-function gptel-backend-header "ext:gptel-request" t t)
(declare-function gptel-backend-host "ext:gptel-request" t t)
(declare-function gptel-backend-key "ext:gptel-request" t t)
(declare-function gptel-backend-name "ext:gptel-request" t t)
(declare-function gptel-backend-url "ext:gptel-request" t t)
(declare-function lm-header "lisp-mnt")
(defvar auth-source-backend-parser-functions)
(defvar auth-sources)
(defvar gptel--known-backends)
(defvar gptel-api-key)
(defvar gptel-log-level)

;;;; Findings

(defun glm-gptel-auth--finding (check level message &optional hint code)
  "Return a finding as glm-token's doctor has them, a plist.
CHECK, LEVEL, MESSAGE, HINT and CODE are strings; the last two may be nil.
To its levels, \"unchecked\" is added."
  (list :check check :level level :message message :hint hint :code code))

(defun glm-gptel-auth--failed-finding (check failure)
  "Return a finding that CHECK ended with FAILURE, as it was caught.
Without its code, since the cure for that may be this doctor."
  (glm-gptel-auth--finding check "failure" (nth 2 failure) (nth 3 failure)))

;;;; What only Emacs can see

(defun glm-gptel-auth--check-program ()
  "Return a finding on whether glm-token and node are there."
  (condition-case failure
      (glm-gptel-auth--finding
       "program" "ok"
       (glm-gptel-auth--text (if glm-gptel-auth-command 'program-set
                               'program-found)
                             (string-join (glm-gptel-auth--program) " ")))
    (glm-gptel-auth-error
     (glm-gptel-auth--failed-finding "program" failure))))

(defun glm-gptel-auth--gptel-version ()
  "Return the version of gptel, a string, or nil when there is none."
  (require 'lisp-mnt)
  (when-let* ((file (locate-library "gptel.el" t)))
    (with-temp-buffer
      (insert-file-contents file nil 0 4000)
      (lm-header "version"))))

(defconst glm-gptel-auth--discreet-gptel "0.9.9.5"
  "First version of gptel that keeps tokens out of the process list.")

(defun glm-gptel-auth--check-gptel ()
  "Return a finding on the version of gptel."
  (let ((version (glm-gptel-auth--gptel-version)))
    (cond ((null version)
           (glm-gptel-auth--finding
            "gptel" "warning" (glm-gptel-auth--text 'no-gptel)
            (glm-gptel-auth--text 'other-packages)))
          ((version< version glm-gptel-auth--discreet-gptel)
           (glm-gptel-auth--finding
            "gptel" "warning" (glm-gptel-auth--text 'gptel-shows-token version)
            (glm-gptel-auth--text 'update-gptel
                                  glm-gptel-auth--discreet-gptel)))
          (t (glm-gptel-auth--finding
              "gptel" "ok" (glm-gptel-auth--text 'version version))))))

(defun glm-gptel-auth--check-log ()
  "Return a finding on whether gptel logs tokens."
  (if (eq (bound-and-true-p gptel-log-level) 'debug)
      (glm-gptel-auth--finding
       "log" "warning" (glm-gptel-auth--text 'log-on)
       (glm-gptel-auth--text 'mend-log))
    (glm-gptel-auth--finding "log" "ok" (glm-gptel-auth--text 'log-off))))

(defun glm-gptel-auth--source-p ()
  "Return non-nil when glm-token is a source of auth-source."
  (memq 'glm-token (bound-and-true-p auth-sources)))

(defun glm-gptel-auth--check-source ()
  "Return a list of a finding on auth-source, or nil when it is not used."
  (when (memq 'glm-gptel-auth--parse
              (bound-and-true-p auth-source-backend-parser-functions))
    (list (if (glm-gptel-auth--source-p)
              (glm-gptel-auth--finding "auth-source" "ok"
                                       (glm-gptel-auth--text 'source-on))
            (glm-gptel-auth--finding "auth-source" "warning"
                                     (glm-gptel-auth--text 'source-lost)
                                     (glm-gptel-auth--text 'mend-source))))))

;;;; Backends

(defun glm-gptel-auth--our-header-p (backend)
  "Return non-nil when BACKEND has its header from this package."
  (or (eq (gptel-backend-header backend) #'glm-gptel-auth-header)
      (assoc (gptel-backend-name backend) glm-gptel-auth--backends)))

(defun glm-gptel-auth--glm-backends ()
  "Return the gptel backends whose host or header is ours."
  (cl-remove-if-not
   (lambda (backend)
     (or (glm-gptel-auth--our-header-p backend)
         (glm-gptel-auth--our-host-p (gptel-backend-host backend))))
   (mapcar #'cdr (bound-and-true-p gptel--known-backends))))

(defun glm-gptel-auth--key-from-source-p (backend)
  "Return non-nil when BACKEND has its key from auth-source, and so from us."
  (let ((key (gptel-backend-key backend)))
    (and (glm-gptel-auth--source-p)
         (eq 'gptel-api-key-from-auth-source
             (if (eq key 'gptel-api-key) (bound-and-true-p gptel-api-key)
               key)))))

(defun glm-gptel-auth--check-backend (backend)
  "Return a finding on where BACKEND of gptel has its tokens from."
  (let ((name (gptel-backend-name backend))
        (account (glm-gptel-auth--describe
                  (glm-gptel-auth--account-of-backend backend))))
    (cond ((glm-gptel-auth--our-header-p backend)
           (glm-gptel-auth--finding
            "backend" "ok" (glm-gptel-auth--text 'backend-ours name account)))
          ((glm-gptel-auth--key-from-source-p backend)
           (glm-gptel-auth--finding
            "backend" "ok"
            (glm-gptel-auth--text 'backend-by-source name account)))
          (t (glm-gptel-auth--finding
              "backend" "warning"
              (glm-gptel-auth--text 'backend-other name account)
              (glm-gptel-auth--text 'mend-backend))))))

(defun glm-gptel-auth--check-backends ()
  "Return findings on the backends of gptel that are for GLM."
  (let ((backends (glm-gptel-auth--glm-backends)))
    (cond (backends (mapcar #'glm-gptel-auth--check-backend backends))
          ((featurep 'gptel)
           (list (glm-gptel-auth--finding
                  "backend" "warning" (glm-gptel-auth--text 'no-backend)
                  (glm-gptel-auth--text 'run 'glm-gptel-auth-setup))))
          ((glm-gptel-auth--gptel-version)
           (list (glm-gptel-auth--finding
                  "backend" "unchecked" (glm-gptel-auth--text 'gptel-not-loaded)
                  (glm-gptel-auth--text 'load-gptel)))))))

;;;; What glm-token finds

(defun glm-gptel-auth--plan-of (backend)
  "Return the plan, a string, that the endpoint of BACKEND is for."
  (let ((url (gptel-backend-url backend)))
    (if (and (stringp url) (string-search "/api/coding/" url)) "coding"
      "pay-as-you-go")))

(defun glm-gptel-auth--accounts-to-check (live)
  "Return parameters for glm-token's doctor, a list of plists.
One is for each account of a GLM backend, or for the default account when
there is no such backend.  LIVE non-nil means to send a token too."
  (let ((backends (glm-gptel-auth--glm-backends))
        (params (lambda (account plan)
                  (append account
                          (when live (list :live t :plan plan))))))
    (if backends
        (cl-remove-duplicates
         (mapcar (lambda (backend)
                   (funcall params (glm-gptel-auth--account-of-backend backend)
                            (glm-gptel-auth--plan-of backend)))
                 backends)
         :test #'equal :from-end t)
      (list (funcall params (glm-gptel-auth--account) "pay-as-you-go")))))

(defconst glm-gptel-auth--general-checks
  '("version" "node" "environment" "store")
  "Checks of glm-token's doctor that are the same for every account.")

(defun glm-gptel-auth--merge-findings (answers)
  "Return the findings of ANSWERS, a list of such lists, each said once.
ANSWERS are of glm-token's doctor, for one account each.  A host that two
accounts share is reached twice, but not in the same time."
  (let ((general-p (lambda (finding)
                     (member (plist-get finding :check)
                             glm-gptel-auth--general-checks))))
    (cl-remove-duplicates
     (append (cl-remove-if-not general-p (car answers))
             (cl-remove-if general-p (apply #'append answers)))
     :test #'equal :from-end t)))

(defun glm-gptel-auth--check-version (version)
  "Return a finding on the helper, whose version is VERSION, a string."
  (if (equal version glm-gptel-auth-version)
      (glm-gptel-auth--finding "helper" "ok"
                               (glm-gptel-auth--text 'helper-answers version))
    (glm-gptel-auth--finding
     "helper" "warning"
     (glm-gptel-auth--text 'versions-differ version glm-gptel-auth-version)
     (if (glm-gptel-auth--uses-installed-p)
         (glm-gptel-auth--text 'run 'glm-gptel-auth-install)
       (glm-gptel-auth--text 'update-both)))))

(defun glm-gptel-auth--broken-helper (failure)
  "Return findings on a helper that does not answer.
FAILURE is what was caught.  What node or glm-token wrote is shown whole."
  (list (glm-gptel-auth--failed-finding "helper" failure)
        (when glm-gptel-auth--last-words
          (glm-gptel-auth--finding
           "output" "unchecked"
           (string-join (seq-take glm-gptel-auth--last-words 20) "\n")))
        (glm-gptel-auth--finding
         "rest" "unchecked" (glm-gptel-auth--text 'rest-unchecked))))

(defun glm-gptel-auth--ask-about (params)
  "Return the findings of glm-token's doctor with PARAMS, a list of plists."
  (append (plist-get (glm-gptel-auth--request 'doctor params) :findings) nil))

(defun glm-gptel-auth--needs-key-p (findings)
  "Return non-nil when the cure for one of FINDINGS is to store a key."
  (cl-some (lambda (finding)
             (memq 'glm-gptel-auth-store
                   (glm-gptel-auth--cure (plist-get finding :code)
                                         (plist-get finding :hint))))
           findings))

(defun glm-gptel-auth--remember-failed (accounts answers)
  "Remember the first of ACCOUNTS that needs a key, as a request does.
ACCOUNTS are parameters of glm-token's doctor, and ANSWERS what it found."
  (when-let* ((index (cl-position-if #'glm-gptel-auth--needs-key-p answers)))
    (let ((account (nth index accounts)))
      (setq glm-gptel-auth--failed-account
            (glm-gptel-auth--account (plist-get account :host)
                                     (plist-get account :profile))))))

(defun glm-gptel-auth--ask-doctor (live)
  "Return findings on the helper, and those of glm-token's own doctor.
LIVE non-nil means to send a token to the service."
  (setq glm-gptel-auth--last-words nil)
  (condition-case failure
      (let* ((glm-gptel-auth--may-ask nil)
             (status (glm-gptel-auth--request 'status))
             (accounts (glm-gptel-auth--accounts-to-check live))
             (answers (mapcar #'glm-gptel-auth--ask-about accounts)))
        (glm-gptel-auth--remember-failed accounts answers)
        (append (list (glm-gptel-auth--check-version
                       (plist-get status :version)))
                (glm-gptel-auth--merge-findings answers)
                (unless live
                  (list (glm-gptel-auth--finding
                         "live" "unchecked"
                         (glm-gptel-auth--text 'live-unchecked)
                         (glm-gptel-auth--text 'check-live))))))
    (glm-gptel-auth-error
     (delq nil (glm-gptel-auth--broken-helper failure)))))

;;;; The command

(defun glm-gptel-auth--findings (live)
  "Return the findings on all that a token depends on, a list of plists.
First what only Emacs can see, then what glm-token's doctor finds.  LIVE
non-nil means to send a token to the service."
  (append (list (glm-gptel-auth--check-program)
                (glm-gptel-auth--check-gptel)
                (glm-gptel-auth--check-log))
          (glm-gptel-auth--check-source)
          (glm-gptel-auth--check-backends)
          (glm-gptel-auth--ask-doctor live)))

(defun glm-gptel-auth--finding-row (finding)
  "Return FINDING, a plist, as a pair of a name and a text."
  (let* ((level (plist-get finding :level))
         (face (pcase level
                 ("ok" 'success) ("warning" 'warning)
                 ("unchecked" 'shadow) (_ 'error))))
    (cons (plist-get finding :check)
          (concat (propertize (format "%-10s" (glm-gptel-auth--text
                                               (intern (concat "level-" level))))
                              'face face)
                  (if (equal level "ok") (plist-get finding :message)
                    (glm-gptel-auth--with-cure (plist-get finding :message)
                                               (plist-get finding :code)
                                               (plist-get finding :hint)))))))

(defun glm-gptel-auth--verdict (findings)
  "Return a summary of FINDINGS, a string; leave out what is unchecked."
  (let* ((count (lambda (levels)
                  (cl-count-if (lambda (finding)
                                 (member (plist-get finding :level) levels))
                               findings)))
         (problems (funcall count '("warning" "failure")))
         (checks (+ problems (funcall count '("ok")))))
    (pcase problems
      (0 (glm-gptel-auth--text 'no-problems checks))
      (1 (glm-gptel-auth--text 'one-problem problems))
      (_ (glm-gptel-auth--text 'problems problems)))))

;;;###autoload
(defun glm-gptel-auth-doctor (&optional live)
  "Check all that a token depends on, and show what is wrong and its cure.
This asks the hosts too, and may take 20 seconds.  With a prefix argument,
LIVE, send one chat request of one token to the service for each account."
  (interactive "P")
  (glm-gptel-auth--say 'checking)
  (let ((findings (glm-gptel-auth--findings live)))
    (message nil)
    (glm-gptel-auth--show
     "*glm-token doctor*"
     (glm-gptel-auth--text 'doctor-title (glm-gptel-auth--verdict findings))
     (mapcar #'glm-gptel-auth--finding-row findings)
     (lambda () (glm-gptel-auth-doctor live)))))

(provide 'glm-gptel-auth-doctor)
;;; glm-gptel-auth-doctor.el ends here
