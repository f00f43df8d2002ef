;;; glm-gptel-auth-setup.el --- The guided first run, and the doctor  -*- lexical-binding: t; -*-

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
;;
;; M-x glm-gptel-auth-doctor looks at what each backend of gptel would send
;; now, and shows what is wrong, with the findings of glm-token's own doctor.

;;; Code:

(require 'cl-lib)
(require 'subr-x)
(require 'glm-gptel-auth)
(require 'glm-gptel-auth-request)
(require 'glm-gptel-auth-commands)

(declare-function auth-source-search "auth-source")
(declare-function gptel-backend-header "ext:gptel-request" t t)
(declare-function gptel-backend-host "ext:gptel-request" t t)
(declare-function gptel-backend-key "ext:gptel-request" t t)
(declare-function gptel-backend-name "ext:gptel-request" t t)
(declare-function gptel-backend-url "ext:gptel-request" t t)
(declare-function find-library-name "find-func")
(declare-function lm-header "lisp-mnt")
(defvar auth-source-backend-parser-functions)
(defvar auth-source-do-cache)
(defvar auth-sources)
(defvar epa-suppress-error-buffer)
(defvar epg-pinentry-mode)
(defvar gptel--known-backends)
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

;;;; The doctor: the program, and gptel

(defun glm-gptel-auth--finding (check level message &optional hint code)
  "Return a finding as glm-token's doctor has them, a plist.
CHECK, LEVEL, MESSAGE, HINT and CODE are strings; the last two may be nil.
To its levels, \"unchecked\" is added."
  (list :check check :level level :message message :hint hint :code code))

(defun glm-gptel-auth--check-program ()
  "Return a finding on whether glm-token and node are there."
  (apply #'glm-gptel-auth--finding "program"
         (condition-case failure
             (let ((program (string-join (glm-gptel-auth--program) " ")))
               (list "ok"
                     (if glm-gptel-auth-command
                         (glm-gptel-auth--text
                          "%s (set by `glm-gptel-auth-command')" program)
                       (glm-gptel-auth--text "%s (found automatically)"
                                             program))))
           (glm-gptel-auth-error (cons "failure" (cddr failure))))))

(defun glm-gptel-auth--gptel-version ()
  "Return the version of gptel, a string, or nil when it is unknown."
  (require 'find-func)
  (require 'lisp-mnt)
  (or (bound-and-true-p gptel-version)
      (ignore-errors
        (with-temp-buffer
          (insert-file-contents (find-library-name "gptel") nil 0 4000)
          (lm-header "version")))))

(defconst glm-gptel-auth--discreet-gptel "0.9.9.5"
  "First version of gptel that keeps tokens out of the process list.")

(defun glm-gptel-auth--check-gptel ()
  "Return a finding on whether there is a gptel, and which."
  (let ((version (glm-gptel-auth--gptel-version)))
    (cond ((not (or (featurep 'gptel) (locate-library "gptel")))
           (glm-gptel-auth--finding
            "gptel" "warning" (glm-gptel-auth--text "gptel is not installed")
            (glm-gptel-auth--text
             "run M-x package-install RET gptel; for other packages, \
M-x glm-gptel-auth-source-enable")))
          ((null version)
           (glm-gptel-auth--finding
            "gptel" "unchecked"
            (glm-gptel-auth--text "gptel is installed; its version is unknown")))
          ((version< version glm-gptel-auth--discreet-gptel)
           (glm-gptel-auth--finding
            "gptel" "warning"
            (glm-gptel-auth--text "gptel %s shows the token in the process list"
                                  version)
            (glm-gptel-auth--text "update gptel to %s or later"
                                  glm-gptel-auth--discreet-gptel)))
          (t (glm-gptel-auth--finding
              "gptel" "ok" (glm-gptel-auth--text "version %s" version))))))

(defun glm-gptel-auth--check-log ()
  "Return a finding on whether gptel logs tokens."
  (if (eq (bound-and-true-p gptel-log-level) 'debug)
      (glm-gptel-auth--finding
       "log" "warning"
       (glm-gptel-auth--text
        "`gptel-log-level' is debug, so gptel writes tokens to a buffer")
       (glm-gptel-auth--text "set it to nil or info"))
    (glm-gptel-auth--finding
     "log" "ok" (glm-gptel-auth--text "gptel logs no tokens"))))

(defun glm-gptel-auth--check-proxy ()
  "Return a list of a finding on the proxy that an option names, or nil."
  (let* ((curl (bound-and-true-p gptel-use-curl))
         (proxy (if curl (bound-and-true-p gptel-proxy)
                  (cdr (assoc "https" (bound-and-true-p url-proxy-services))))))
    (unless (member proxy '(nil ""))
      (list (glm-gptel-auth--finding
             "proxy" "unchecked"
             (glm-gptel-auth--text
              "gptel's requests go through %s (`%s'); the checks of host and \
clock go by the environment"
              (replace-regexp-in-string "[^/@]*@" "" proxy) ; Its password.
              (if curl 'gptel-proxy 'url-proxy-services)))))))

;;;; The doctor: keys in auth-sources

(defun glm-gptel-auth--without-gnupg (function otherwise)
  "Call FUNCTION, in which GnuPG fails rather than ask for a passphrase.
Return its value, or that of the function OTHERWISE if GnuPG failed: sources
of auth-source pass over what they cannot decrypt, and so would the doctor."
  (require 'epg)
  (let* ((epg-pinentry-mode 'error)
         (epa-suppress-error-buffer t)
         (decrypt (symbol-function 'epg-decrypt-file))
         (failed nil)
         (value (cl-letf (((symbol-function 'epg-decrypt-file)
                           (lambda (&rest arguments)
                             (condition-case err (apply decrypt arguments)
                               (error (setq failed t)
                                      (signal (car err) (cdr err)))))))
                  (funcall function))))
    (if failed (funcall otherwise) value)))

(defun glm-gptel-auth--line-with (secret file)
  "Return where SECRET is in FILE, a string, or nil; FILE may be anything."
  (when (and (stringp file) (file-readable-p file))
    (with-temp-buffer
      (insert-file-contents file)
      (goto-char (point-min))
      (let ((case-fold-search nil))     ; Keys are not words.
        (when (search-forward secret nil t)
          (glm-gptel-auth--text "line %d of %s" (line-number-at-pos)
                                (abbreviate-file-name file)))))))

(defun glm-gptel-auth--keys-in (source host)
  "Return what SOURCE, an element of `auth-sources', has for HOST.
It is a list of pairs of a password and of where it is, two strings."
  (let ((auth-sources (list source))
        (auth-source-do-cache nil))
    (cl-loop
     ;; pass finds an entry for a user only if the user is named, as by gptel.
     for entry in (append (auth-source-search :host host :max 50
                                              :require '(:secret))
                          (auth-source-search :host host :user "apikey"
                                              :require '(:secret)))
     for secret = (plist-get entry :secret)
     for key = (if (functionp secret) (funcall secret) secret)
     for place = (or (glm-gptel-auth--line-with
                      key (if (consp source) (plist-get source :source) source))
                     (glm-gptel-auth--text "the entry in `%s'" source))
     unless (assoc key found)
     collect (cons key place) into found
     finally return found)))

(defun glm-gptel-auth--check-source-for (source host)
  "Return findings on keys that SOURCE of `auth-sources' has for HOST."
  (glm-gptel-auth--without-gnupg
   (lambda ()
     (cl-loop
      for (key . place) in (ignore-errors
                             (glm-gptel-auth--keys-in source host))
      ;; The same host may have a password for its pages.
      when (string-match-p "\\`[^. ]+\\.[^. ]+\\'" key)
      collect (glm-gptel-auth--finding
               "auth-source" "warning"
               (glm-gptel-auth--text "a key for %s is in %s" host place)
               (glm-gptel-auth--text
                "store it with C-u M-x glm-gptel-auth-store, and then remove %s"
                place))))
   (lambda ()
     (list (glm-gptel-auth--finding
            "auth-source" "unchecked"
            (glm-gptel-auth--text
             "whether a key for %s is in `%s', which GnuPG cannot open"
             host source))))))

(defun glm-gptel-auth--check-sources ()
  "Return findings on auth-source, and on keys that its sources have."
  (append
   (when (and (memq 'glm-gptel-auth--parse auth-source-backend-parser-functions)
              (not (memq 'glm-token auth-sources)))
     (list (glm-gptel-auth--finding
            "auth-source" "warning"
            (glm-gptel-auth--text
             "glm-token is not in `auth-sources', which was set after \
M-x glm-gptel-auth-source-enable")
            (glm-gptel-auth--text
             "in init.el, enable it after the line that sets `auth-sources'"))))
   (cl-loop for source in (remq 'glm-token auth-sources)
            append (cl-loop for host in glm-gptel-auth-hosts
                            append (glm-gptel-auth--check-source-for
                                    source host)))))

;;;; The doctor: what a backend would send

(defconst glm-gptel-auth--stand-in "the-key-of-this-backend"
  "What a header gets in place of the backend's key while it is examined.")

(defun glm-gptel-auth--credential (backend buffer)
  "Return what BACKEND would authenticate with in a request from BUFFER.
It is a string or nil, and `glm-gptel-auth--stand-in' for the backend's key."
  (let ((gptel-backend (copy-sequence backend))
        (header (gptel-backend-header backend)))
    (aset gptel-backend (cl-struct-slot-offset 'gptel-backend 'key)
          glm-gptel-auth--stand-in)
    (when (functionp header)
      (setq header (condition-case nil
                       (funcall header (list :backend gptel-backend
                                             :buffer buffer))
                     ;; Before gptel 0.9.9.5.
                     (wrong-number-of-arguments (funcall header)))))
    (cl-loop for (name . value) in header
             when (string-match-p "authorization\\|key" (downcase name))
             return (string-remove-prefix "Bearer " value))))

(defun glm-gptel-auth--key-of (backend)
  "Return the key of BACKEND as gptel has it: a string, a function, or nil.
Only functions that ask nobody but glm-token and auth-source are called."
  (let ((key (gptel-backend-key backend))
        (gptel-backend backend))
    (while (and key (symbolp key) (not (functionp key)))
      (setq key (and (boundp key) (symbol-value key))))
    (if (memq key '(glm-gptel-auth-token gptel-api-key-from-auth-source))
        (funcall key)
      key)))

(defun glm-gptel-auth--where (backend key)
  "Return where KEY, a string that BACKEND sends, comes from, a string."
  (let ((slot (gptel-backend-key backend))
        (host (gptel-backend-host backend)))
    (or (glm-gptel-auth--line-with key user-init-file)
        (glm-gptel-auth--line-with key custom-file)
        (cl-loop for source in (remq 'glm-token auth-sources)
                 thereis (cdr (assoc key (ignore-errors
                                           (glm-gptel-auth--keys-in source
                                                                    host)))))
        (if (and slot (symbolp slot))
            (glm-gptel-auth--text "the variable `%s'" slot)
          (glm-gptel-auth--text "its definition")))))

(defun glm-gptel-auth--judge (backend sent tokens)
  "Return a level, a message and a hint on SENT, what BACKEND would send.
TOKENS is an alist of the tokens that glm-token gave, and of their accounts."
  (let ((mend (glm-gptel-auth--text
               "store the key with M-x glm-gptel-auth-store, and make the \
backend with `glm-gptel-auth-make-backend'")))
    (cond ((assoc sent tokens)
           (list "ok" (glm-gptel-auth--text
                       "sends a token for %s"
                       (glm-gptel-auth--describe (cdr (assoc sent tokens))))))
          ((null sent)
           (list "failure" (glm-gptel-auth--text "sends no key") mend))
          ((functionp sent)
           (list "unchecked"
                 (glm-gptel-auth--text
                  "its key comes from the function %s, which is not called here"
                  (if (symbolp sent) sent "lambda"))
                 mend))
          ((string-match-p "\\`eyJ[^.]*\\.[^.]*\\.[^.]*\\'" sent)
           (list "warning"
                 (glm-gptel-auth--text
                  "sends a token that is not from glm-token, but from %s"
                  (glm-gptel-auth--where backend sent))
                 mend))
          (t (list "warning"
                   (glm-gptel-auth--text "sends the API key itself, from %s"
                                         (glm-gptel-auth--where backend sent))
                   mend)))))

(defun glm-gptel-auth--check-backend (backend buffer)
  "Return a finding on what BACKEND would send in a request from BUFFER.
It calls what gptel would call, and nobody is asked for anything.  Added are
the `:account' whose token that is, the `:plan', and what was `:said'."
  (let* (account failure tokens
         (glm-gptel-auth--look
          (lambda (asked outcome)
            (setq account asked)
            (if (stringp outcome) (push (cons outcome asked) tokens)
              (setq failure outcome))))
         (judgement
          (glm-gptel-auth--without-gnupg
           (lambda ()
             (condition-case err
                 (let ((sent (glm-gptel-auth--credential backend buffer)))
                   (when (equal sent glm-gptel-auth--stand-in)
                     (setq sent (glm-gptel-auth--key-of backend)))
                   (glm-gptel-auth--judge backend sent tokens))
               (error
                (pcase (cdr failure)
                  ('nil (list "failure" (error-message-string err)))
                  ;; What is locked may be unlocked at the next request.
                  (`(,(and code (or "ERR_STORE_LOCKED" "ERR_PASSPHRASE"))
                     ,message ,hint)
                   (list "unchecked" message hint code))
                  (`(,code ,message ,hint)
                   (list "failure" message hint code))))))
           (lambda ()
             (list "unchecked"
                   (glm-gptel-auth--text
                    "its key may be in auth-source, which GnuPG cannot open"))))))
    (append (glm-gptel-auth--finding
             "backend" (car judgement)
             (glm-gptel-auth--text "%s: %s" (gptel-backend-name backend)
                                   (cadr judgement))
             (nth 2 judgement) (nth 3 judgement))
            (list :account (or account
                               (list :host (gptel-backend-host backend)))
                  :plan (if (string-search "/api/coding/"
                                           (format "%s" (gptel-backend-url
                                                         backend)))
                            "coding"
                          "pay-as-you-go")
                  :said (cadr judgement)))))

(defun glm-gptel-auth--glm-backends (buffer)
  "Return gptel's backends for GLM: those in use, in BUFFER too, and all known."
  (cl-remove-if-not
   (lambda (backend)
     (and backend
          (or (glm-gptel-auth--our-host-p (gptel-backend-host backend))
              (assoc (gptel-backend-name backend) glm-gptel-auth--backends))))
   (delete-dups
    (append (list (buffer-local-value 'gptel-backend buffer)
                  (default-value 'gptel-backend))
            (mapcar #'cdr gptel--known-backends)))))

(defun glm-gptel-auth--check-backends (buffer)
  "Return findings on the backends of gptel for GLM, as BUFFER has them."
  (cond ((featurep 'gptel)
         (or (mapcar (lambda (backend)
                       (glm-gptel-auth--check-backend backend buffer))
                     (glm-gptel-auth--glm-backends buffer))
             (list (glm-gptel-auth--finding
                    "backend" "warning"
                    (glm-gptel-auth--text "gptel has no backend for GLM")
                    (glm-gptel-auth--text "run M-x %s"
                                          'glm-gptel-auth-setup)))))
        ((locate-library "gptel")
         (list (glm-gptel-auth--finding
                "backend" "unchecked"
                (glm-gptel-auth--text
                 "gptel is not loaded yet, and so has no backends")
                (glm-gptel-auth--text "run M-x gptel, and then check again"))))))

;;;; The doctor: what glm-token finds

(defun glm-gptel-auth--ask-doctor (backends live)
  "Return the findings of glm-token's doctor, each said once.
It looks at the accounts of BACKENDS, findings, or at the default one.  LIVE
non-nil means to send a token to the service."
  (let ((said (mapcar (lambda (finding) (plist-get finding :said)) backends)))
    (cl-loop
     for params in (delete-dups
                    (cl-loop for finding in (or backends '(nil))
                             for plan = (plist-get finding :plan)
                             collect (append
                                      (or (plist-get finding :account)
                                          (glm-gptel-auth--account))
                                      (when live
                                        (list :live t
                                              :plan (or plan
                                                        "pay-as-you-go"))))))
     append (append (plist-get (glm-gptel-auth--request 'doctor params)
                               :findings)
                    nil)
     into findings
     finally return (cl-remove-if
                     (lambda (finding)
                       (member (plist-get finding :message) said))
                     (delete-dups findings)))))

(defun glm-gptel-auth--check-version (version)
  "Return a finding on the helper, whose version is VERSION, a string."
  (if (equal version glm-gptel-auth-version)
      (glm-gptel-auth--finding
       "helper" "ok" (glm-gptel-auth--text "answers, version %s" version))
    (glm-gptel-auth--finding
     "helper" "warning"
     (glm-gptel-auth--text "glm-token is version %s, but glm-gptel-auth is %s"
                           version glm-gptel-auth-version)
     (if (glm-gptel-auth--uses-installed-p)
         (glm-gptel-auth--text "run M-x %s" 'glm-gptel-auth-install)
       (glm-gptel-auth--text
        "update both, then M-x glm-gptel-auth-restart")))))

(defun glm-gptel-auth--check-tokens (buffer live)
  "Return findings on the helper, and on the tokens of requests from BUFFER.
LIVE non-nil means to send a token to the service."
  (condition-case failure
      (let* ((status (glm-gptel-auth--request 'status nil))
             (backends (glm-gptel-auth--check-backends buffer)))
        (append (list (glm-gptel-auth--check-version
                       (plist-get status :version)))
                backends
                (glm-gptel-auth--ask-doctor
                 (cl-remove-if-not (lambda (finding)
                                     (plist-get finding :account))
                                   backends)
                 live)
                (unless live
                  (list (glm-gptel-auth--finding
                         "live" "unchecked"
                         (glm-gptel-auth--text
                          "whether the service accepts a token")
                         (glm-gptel-auth--text
                          "C-u M-x glm-gptel-auth-doctor sends one chat \
request of one token"))))))
    (glm-gptel-auth-error
     ;; Without its code, since the cure for that may be this doctor.
     (list (apply #'glm-gptel-auth--finding "helper" "failure" (cddr failure))
           (glm-gptel-auth--finding
            "rest" "unchecked"
            (glm-gptel-auth--text
             "backends, store, keys, hosts and clock: they need the helper"))))))

;;;; The doctor

(defun glm-gptel-auth--finding-row (finding)
  "Return FINDING, a plist, as a pair of a name and a text."
  (let ((level (plist-get finding :level)))
    (cons (plist-get finding :check)
          (concat (propertize (format "%-10s" (glm-gptel-auth--text level))
                              'face (pcase level
                                      ("ok" 'success) ("warning" 'warning)
                                      ("unchecked" 'shadow) (_ 'error)))
                  (if (equal level "ok") (plist-get finding :message)
                    (glm-gptel-auth--with-cure (plist-get finding :message)
                                               (plist-get finding :code)
                                               (plist-get finding :hint)))))))

(defun glm-gptel-auth--summary (findings)
  "Return a summary of FINDINGS, a string; leave out what is unchecked."
  (let* ((count (lambda (&rest levels)
                  (cl-count-if (lambda (finding)
                                 (member (plist-get finding :level) levels))
                               findings)))
         (problems (funcall count "warning" "failure")))
    (pcase problems
      (0 (glm-gptel-auth--text "no problems in the %d checks made"
                               (funcall count "ok")))
      (1 (glm-gptel-auth--text "%d problem" problems))
      (_ (glm-gptel-auth--text "%d problems" problems)))))

;;;###autoload
(defun glm-gptel-auth-doctor (&optional live)
  "Check all that a token depends on, and show what is wrong and its cure.
It looks at what requests from this buffer would send, and asks nobody for
anything.  It reaches the hosts too, and may take 20 seconds.  With a prefix
argument, LIVE, send one chat request of one token to the service for each
account."
  (interactive "P")
  (require 'auth-source)
  (glm-gptel-auth--say "checking ...")
  (let* ((buffer (current-buffer))
         (findings (append (list (glm-gptel-auth--check-program)
                                 (glm-gptel-auth--check-gptel)
                                 (glm-gptel-auth--check-log))
                           (glm-gptel-auth--check-proxy)
                           (glm-gptel-auth--check-sources)
                           (glm-gptel-auth--check-tokens buffer live))))
    (message nil)
    (glm-gptel-auth--show
     "*glm-token doctor*"
     (glm-gptel-auth--text "GLM token doctor: %s"
                           (glm-gptel-auth--summary findings))
     (mapcar #'glm-gptel-auth--finding-row findings)
     (lambda ()
       (with-current-buffer (if (buffer-live-p buffer) buffer (current-buffer))
         (glm-gptel-auth-doctor live))))))

(provide 'glm-gptel-auth-setup)
;;; glm-gptel-auth-setup.el ends here
