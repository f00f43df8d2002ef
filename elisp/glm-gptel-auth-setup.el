;;; glm-gptel-auth-setup.el --- The guided first run  -*- lexical-binding: t; -*-

;; Copyright (C) 2026 The glm-token developers

;; Author: The glm-token developers
;; Maintainer: The glm-token developers
;; Keywords: comm, tools
;; SPDX-License-Identifier: GPL-3.0-or-later

;; This file is part of glm-gptel-auth; see glm-gptel-auth.el for its
;; licence, the GNU General Public License.

;;; Commentary:

;; M-x glm-gptel-auth-setup is what `glm-token setup' is on a terminal: it
;; asks for service, plan and key, stores the key, checks it with the service
;; if the user agrees, has gptel use it in this session, and shows the lines
;; for init.el.  What there is to choose from, and these lines, come from
;; glm-token.

;;; Code:

(require 'cl-lib)
(require 'subr-x)
(require 'glm-gptel-auth)
(require 'glm-gptel-auth-request)
(require 'glm-gptel-auth-commands)

(defvar gptel-backend)
(defvar gptel-model)

;;;; Questions

(defun glm-gptel-auth--choose (name choices)
  "Ask for one of CHOICES, plists with a `:title', and return it.
NAME, a symbol, is the text that says what they are.  The first one is the
default."
  (let* ((titles (mapcar (lambda (choice) (plist-get choice :title)) choices))
         (default (car titles))
         ;; In their order, the likely one first.
         (table (lambda (string predicate action)
                  (if (eq action 'metadata)
                      '(metadata (display-sort-function . identity)
                                 (cycle-sort-function . identity))
                    (complete-with-action action titles string predicate))))
         (title (completing-read (glm-gptel-auth--prompt name default) table
                                 nil t nil nil default)))
    (or (cl-find title choices :test #'equal
                 :key (lambda (choice) (plist-get choice :title)))
        (car choices))))

(defun glm-gptel-auth--likely-first (services)
  "Return SERVICES, plists, with that of the current account first."
  (let* ((host (plist-get (glm-gptel-auth--complete-account
                           (glm-gptel-auth--likely-account))
                          :host))
         (likely-p (lambda (service)
                     (equal host (plist-get service :host)))))
    (append (cl-remove-if-not likely-p services)
            (cl-remove-if likely-p services))))

(defun glm-gptel-auth--call-with-page (url function)
  "Call FUNCTION beside a window with URL, and return its value.
URL is the page of the key."
  (let ((buffer (get-buffer-create "*GLM key*")))
    (unwind-protect
        (save-window-excursion
          (with-current-buffer buffer
            (special-mode)
            (let ((inhibit-read-only t))
              (erase-buffer)
              (insert (glm-gptel-auth--text 'get-key) "\n\n    ")
              (insert-text-button url
                                  'help-echo (glm-gptel-auth--text 'open-page)
                                  'follow-link t
                                  'action (lambda (_) (browse-url url)))
              (insert "\n\n" (glm-gptel-auth--text 'key-goes) "\n")
              (goto-char (point-min))))
          (display-buffer buffer '((display-buffer-at-bottom)
                                   (window-height . fit-window-to-buffer)))
          (funcall function))
      (kill-buffer buffer))))

(defun glm-gptel-auth--stored-id (account)
  "Return the shortened id of the key that is stored for ACCOUNT, or nil."
  (let* ((account (glm-gptel-auth--complete-account account))
         (answer (glm-gptel-auth--try 'accounts)))
    (plist-get
     (cl-find-if (lambda (stored)
                   (and (equal (plist-get stored :host)
                               (plist-get account :host))
                        (equal (plist-get stored :profile)
                               (plist-get account :profile))))
                 (append (and (consp answer) (plist-get answer :accounts)) nil))
     :id)))

(defun glm-gptel-auth--have-key (account url)
  "Have a key stored for ACCOUNT, a plist; its page is URL.
Return where it is, a string."
  (let ((id (glm-gptel-auth--stored-id account)))
    (if (and id (y-or-n-p (glm-gptel-auth--text
                           'ask-use-key
                           id (glm-gptel-auth--describe account))))
        (glm-gptel-auth--text 'stored-already)
      (let ((answer (glm-gptel-auth--call-with-page
                     url (lambda ()
                           (glm-gptel-auth--ask-for-key account "id.secret")))))
        (glm-gptel-auth--text (if (eq t (plist-get answer :stored)) 'stored-in
                                'kept-in)
                              (plist-get answer :title))))))

;;;; The check

(defun glm-gptel-auth--ask-service (account plan)
  "Return findings on the key of ACCOUNT, a plist, from the service itself.
PLAN is the name of the plan."
  (glm-gptel-auth--say 'asking (plist-get account :host))
  (append (plist-get (glm-gptel-auth--request
                      'doctor (append account (list :live t :plan plan)))
                     :findings)
          nil))

(defun glm-gptel-auth--other-plan (findings)
  "Return the plan that the user wants to try because of FINDINGS, or nil.
That is asked when the service's answer suggests that the key is for the
other one."
  (when-let* ((finding (cl-find-if (lambda (finding)
                                     (plist-get finding :otherPlan))
                                   findings))
              (other (plist-get finding :otherPlan)))
    (and (y-or-n-p (concat (glm-gptel-auth--sentence (plist-get finding :message))
                           (plist-get other :question) " "))
         (plist-get other :name))))

(defun glm-gptel-auth--check-key (account plan)
  "Check the key of ACCOUNT with the service if the user agrees.
PLAN is the name of the plan.  Return a list of what came of it, a string,
and of the plan that the key is for."
  (if (not (y-or-n-p (glm-gptel-auth--text 'ask-check (plist-get account :host))))
      (list (glm-gptel-auth--text 'not-checked) plan)
    (let* ((findings (glm-gptel-auth--ask-service account plan))
           (other (glm-gptel-auth--other-plan findings))
           (again (and other (glm-gptel-auth--ask-service account other))))
      (list (glm-gptel-auth--describe-check (or again findings))
            (if (cl-find-if (lambda (finding)
                              (and (equal "live" (plist-get finding :check))
                                   (equal "ok" (plist-get finding :level))))
                            again)
                other
              plan)))))

(defun glm-gptel-auth--describe-check (findings)
  "Return what FINDINGS of glm-token's doctor say of the check, a string."
  (let ((telling (cl-remove-if
                  (lambda (finding)
                    (and (equal "ok" (plist-get finding :level))
                         (not (equal "live" (plist-get finding :check)))))
                  findings)))
    (string-join
     (append (mapcar (lambda (finding)
                       (glm-gptel-auth--with-cure (plist-get finding :message)
                                                  (plist-get finding :code)
                                                  (plist-get finding :hint)))
                     telling)
             (unless (cl-find "live" findings :test #'equal
                              :key (lambda (finding) (plist-get finding :check)))
               (list (glm-gptel-auth--text 'not-checked))))
     "\n")))

;;;; gptel, and the lines for init.el

(defun glm-gptel-auth--use (account plan)
  "Have gptel use the key of ACCOUNT and PLAN in this session.
Return what was done, a string."
  (if (not (require 'gptel nil t))
      (glm-gptel-auth--with-cure (glm-gptel-auth--text 'no-gptel) nil
                                 (glm-gptel-auth--text 'install-gptel))
    (setq-default gptel-backend
                  (glm-gptel-auth-make-backend "GLM"
                    :host (plist-get account :host)
                    :profile (plist-get account :profile)
                    :coding-plan (equal plan "coding"))
                  gptel-model (caar glm-gptel-auth-models))
    (glm-gptel-auth--text 'in-use)))

(defun glm-gptel-auth--init-lines (account plan)
  "Return the lines for init.el about ACCOUNT and PLAN, a string.
They come from the program's own setup command."
  (let* ((default-directory (glm-gptel-auth--local-directory))
         (process-environment (glm-gptel-auth--environment))
         (profile (plist-get account :profile))
         (command (append (glm-gptel-auth--program)
                          (list "setup" "emacs"
                                (concat "--host=" (plist-get account :host))
                                (concat "--plan=" plan))
                          (when profile (list (concat "--profile=" profile)))))
         (coding-system-for-read 'utf-8-unix))
    (with-temp-buffer
      (let ((status (apply #'call-process (car command) nil '(t nil) nil
                           (cdr command))))
        (unless (eql 0 status)
          (glm-gptel-auth--fail
           nil (glm-gptel-auth--text 'setup-ended status)))
        (buffer-string)))))

(defvar-local glm-gptel-auth--lines nil
  "The lines for init.el that this buffer shows, a string.")

(defun glm-gptel-auth--copy-lines (&rest _)
  "Put the lines for init.el in this buffer onto the kill ring."
  (interactive nil glm-gptel-auth-setup-mode)
  (kill-new glm-gptel-auth--lines)
  (glm-gptel-auth--say 'copied))

(defun glm-gptel-auth--goto-older-lines ()
  "Go to the first line about this package; return nil when there is none."
  (let ((found (save-excursion
                 (goto-char (point-min))
                 (search-forward "glm-gptel-auth" nil t))))
    (when found
      (goto-char found)
      (beginning-of-line)
      t)))

(defun glm-gptel-auth--insert-lines (&rest _)
  "Insert the lines for init.el in this buffer into another one.
Ask for it; your init file is the default.  They go to point there, or to
the end of a file that was not open.  Nothing is saved.

When lines about this package are there, go to them and copy the new ones,
since of two such blocks the last one would win."
  (interactive nil glm-gptel-auth-setup-mode)
  (let* ((lines glm-gptel-auth--lines)
         (open (and user-init-file (find-buffer-visiting user-init-file)))
         (init (or open (and user-init-file
                             (find-file-noselect user-init-file))))
         (default (buffer-name (or init (other-buffer))))
         ;; `read-buffer' would name the default in English.
         (buffer (get-buffer
                  (completing-read (glm-gptel-auth--prompt 'ask-buffer default)
                                   #'internal-complete-buffer nil t nil
                                   'buffer-name-history default))))
    (pop-to-buffer buffer)
    (when (and (eq buffer init) (not open)) (goto-char (point-max)))
    (if (glm-gptel-auth--goto-older-lines)
        (progn (kill-new lines)
               (glm-gptel-auth--say 'older-lines))
      (unless (bolp) (insert "\n"))
      (insert lines)
      (glm-gptel-auth--say 'inserted))))

(defvar glm-gptel-auth-setup-mode-map
  (let ((map (make-sparse-keymap)))
    (set-keymap-parent map special-mode-map)
    (define-key map "w" #'glm-gptel-auth--copy-lines)
    (define-key map "i" #'glm-gptel-auth--insert-lines)
    map)
  "Keys of the buffer that shows the lines for init.el.")

(define-derived-mode glm-gptel-auth-setup-mode special-mode "GLM setup"
  "Mode of the buffer that shows the lines for init.el."
  :interactive nil
  (setq-local revert-buffer-function #'ignore))

(defun glm-gptel-auth--show-setup (rows lines)
  "Show ROWS, pairs of a name and a text, and LINES for init.el, a string."
  (glm-gptel-auth--show "*GLM setup*" (glm-gptel-auth--text 'setup-title)
                        rows #'ignore)
  (with-current-buffer "*GLM setup*"
    (glm-gptel-auth-setup-mode)
    (setq glm-gptel-auth--lines lines)
    (let ((inhibit-read-only t))
      (save-excursion
        (goto-char (point-max))
        (insert "\n" (glm-gptel-auth--text 'put-lines) "\n")
        (insert-text-button (glm-gptel-auth--text 'insert-lines) 'follow-link t
                            'action #'glm-gptel-auth--insert-lines)
        (insert " (i)   ")
        (insert-text-button (glm-gptel-auth--text 'copy-lines) 'follow-link t
                            'action #'glm-gptel-auth--copy-lines)
        (insert " (w)\n\n" lines)))))

;;;; The command

;;;###autoload
(defun glm-gptel-auth-setup ()
  "Set up a GLM key, and have gptel use it: service, plan, key, check.
Then show the lines for init.el.  Giving up with \\[keyboard-quit] leaves
nothing behind but a key that was stored by then."
  (interactive)
  (glm-gptel-auth--with-user-errors
    (let* ((offer (glm-gptel-auth--request 'services))
           (service (glm-gptel-auth--choose
                     'service
                     (glm-gptel-auth--likely-first
                      (append (plist-get offer :services) nil))))
           (plans (append (plist-get offer :plans) nil))
           (plan (plist-get (glm-gptel-auth--choose 'plan plans) :name))
           (account (glm-gptel-auth--account (plist-get service :host)))
           (key (glm-gptel-auth--have-key account
                                          (plist-get service :keysUrl)))
           (check (glm-gptel-auth--check-key account plan))
           (plan (cadr check))
           (lines (glm-gptel-auth--init-lines account plan)))
      (glm-gptel-auth--show-setup
       `((service . ,(plist-get service :title))
         (plan . ,(plist-get (cl-find plan plans :test #'equal
                                      :key (lambda (plan) (plist-get plan :name)))
                             :title))
         (key-row . ,key)
         (check-row . ,(car check))
         ("gptel" . ,(glm-gptel-auth--use account plan)))
       lines)
      (message nil))))

(provide 'glm-gptel-auth-setup)
;;; glm-gptel-auth-setup.el ends here
