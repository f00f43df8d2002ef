;;; glm-gptel-auth-setup.el --- The guided first run, and the doctor  -*- lexical-binding: t; -*-

;; Copyright (C) 2026 The glm-token developers

;; Author: The glm-token developers
;; Maintainer: The glm-token developers
;; Keywords: comm, tools
;; SPDX-License-Identifier: GPL-3.0-or-later

;; This file is part of glm-gptel-auth; see glm-gptel-auth.el for its
;; licence, the GNU General Public License.

;;; Commentary:

;; M-x glm-gptel-auth-setup shows the steps of the first run that glm-token
;; knows, has gptel use the key in this session, and shows the lines for
;; init.el.  M-x glm-gptel-auth-doctor looks at what each backend of gptel
;; would send now, and shows what is wrong, with the findings of glm-token's
;; own doctor.

;;; Code:

(require 'cl-lib)
(require 'subr-x)
(require 'glm-gptel-auth)

(declare-function gptel-backend-header "ext:gptel-request" t t)
(declare-function gptel-backend-host "ext:gptel-request" t t)
(declare-function gptel-backend-key "ext:gptel-request" t t)
(declare-function gptel-backend-name "ext:gptel-request" t t)
(declare-function gptel-backend-url "ext:gptel-request" t t)
(declare-function auth-source-search "auth-source")
(defvar auth-source-backend-parser-functions)
(defvar auth-source-do-cache)
(defvar auth-sources)
(defvar epa-suppress-error-buffer)
(defvar epg-pinentry-mode)
(defvar gptel--known-backends)
(defvar gptel-backend)
(defvar gptel-model)
(defvar gptel-version)

;;;; The first run: questions

(defun glm-gptel-auth--choose (step)
  "Ask for one of the choices of STEP, a plist, and return its value."
  (let* ((choices (mapcar (lambda (choice)
                            (cons (plist-get choice :title)
                                  (plist-get choice :value)))
                          (plist-get step :choices)))
         (default (car (rassoc (plist-get step :default) choices))))
    (cdr (assoc (completing-read
                 (glm-gptel-auth--text "%s (default %s): "
                                       (plist-get step :question) default)
                 choices nil t nil nil default)
                choices))))

(defun glm-gptel-auth--answer (step)
  "Return the answer to STEP of the first run, a plist, as glm-token wants it."
  (let* ((question (plist-get step :question))
         (prompt (if (string-match-p "[ ：？]\\'" question) question
                   (concat question " ")))
         (account (plist-get step :account)))
    (pcase (plist-get step :kind)
      ("choice" (glm-gptel-auth--choose step))
      ("yes-no" (if (y-or-n-p prompt) t :json-false))
      ("secret"
       (glm-gptel-auth--read-and-store account prompt (plist-get step :store))
       t)
      ("verify"
       (message "%s ..." question)
       (glm-gptel-auth--request
        'verify (append account (list :plan (plist-get step :plan))))))))

(defun glm-gptel-auth--answer-beside (notes step)
  "Return the answer to STEP, a plist, beside a window with NOTES, strings.
The window has the notes of STEP too, and the page of its key."
  (let* ((name "*GLM setup notes*")
         (url (plist-get step :url))
         (notes (append notes (plist-get step :notes)
                        (when url (list (glm-gptel-auth--text
                                         "Get the API key at %s" url))))))
    (unwind-protect
        (save-window-excursion
          (when notes
            (with-temp-buffer-window
                name '(display-buffer-at-bottom
                       (window-height . fit-window-to-buffer))
                nil
              (princ (string-join notes "\n\n")))
            (with-current-buffer name (goto-address-mode)))
          (glm-gptel-auth--answer step))
      (when (get-buffer name) (kill-buffer name)))))

(defun glm-gptel-auth--ask-all ()
  "Ask all questions of the first run, and return what comes out, a plist."
  (let ((paths (list :command (vconcat (glm-gptel-auth--program))
                     :elisp (directory-file-name glm-gptel-auth--directory)))
        answers notes done)
    (while (null done)
      (let* ((reply (glm-gptel-auth--request
                     'setup (list :answers (or answers (make-hash-table))
                                  :paths paths)))
             (step (plist-get reply :step)))
        (setq done (plist-get reply :done))
        (when step
          (let ((answer (glm-gptel-auth--answer-beside notes step)))
            (setq notes (when (equal "verify" (plist-get step :kind))
                          (list (plist-get answer :message)))
                  answers (append answers
                                  (list (intern (concat ":" (plist-get
                                                             step :name)))
                                        answer)))))))
    done))

;;;; The first run: gptel, and the lines for init.el

(defun glm-gptel-auth--use (lines)
  "Have gptel use in this session the backend made by LINES, a string.
Return what was done, a string."
  (condition-case err
      (let ((form (read (substring lines (string-search
                                          "(glm-gptel-auth-make-" lines)))))
        (setq-default gptel-backend (apply #'glm-gptel-auth-make-backend
                                           (cdr form))
                      gptel-model (caar glm-gptel-auth-models))
        (glm-gptel-auth--text
         "in use for this session; M-x gptel starts a chat"))
    (user-error (cadr err))))           ; There is no gptel.

(defun glm-gptel-auth--insert-lines (lines)
  "Insert LINES, a string, at the end of the init file, which is not saved.
When lines about this package are there, go to them and copy the new ones,
since of two such blocks the last one would win."
  (find-file-other-window
   (or user-init-file (locate-user-emacs-file "init.el" ".emacs")))
  (goto-char (point-min))
  (if (search-forward "glm-gptel-auth" nil t)
      (progn (beginning-of-line)
             (kill-new lines)
             (glm-gptel-auth--say
              "nothing inserted: lines about glm-gptel-auth are here already; \
replace them with the new ones, which are copied"))
    (goto-char (point-max))
    (unless (bolp) (insert "\n"))
    (insert lines)
    (glm-gptel-auth--say "inserted; save the buffer to keep it")))

(defun glm-gptel-auth--show-setup (rows notes lines)
  "Show ROWS, pairs of a name and a text, NOTES, strings, and LINES, a string."
  (glm-gptel-auth--show "*GLM setup*" (glm-gptel-auth--text "GLM setup")
                        rows #'ignore)
  (with-current-buffer "*GLM setup*"
    (let ((inhibit-read-only t)
          (map (make-sparse-keymap)))
      (set-keymap-parent map special-mode-map)
      (define-key map "i" (lambda () (interactive)
                            (glm-gptel-auth--insert-lines lines)))
      (define-key map "w" (lambda () (interactive)
                            (kill-new lines)
                            (glm-gptel-auth--say "copied")))
      (use-local-map map)
      (save-excursion
        (goto-char (point-max))
        (insert "\n"
                (glm-gptel-auth--text
                 "To have this in every session, put these lines into your \
init.el (i inserts them, w copies them):")
                "\n\n" lines)
        (dolist (note notes) (insert "\n" note "\n"))))))

;;;###autoload
(defun glm-gptel-auth-setup ()
  "Set up a GLM key, and have gptel use it: service, plan, key, check.
Then show the lines for init.el.  Giving up with \\[keyboard-quit] leaves
nothing behind but a key that was stored by then."
  (interactive)
  (glm-gptel-auth--with-user-errors
    (let* ((done (glm-gptel-auth--ask-all))
           (verdict (plist-get done :verdict))
           (lines (mapconcat (lambda (line) (concat line "\n"))
                             (plist-get done :lines) "")))
      (glm-gptel-auth--show-setup
       `((,(glm-gptel-auth--text "Key for")
          . ,(glm-gptel-auth--describe (plist-get done :account)))
         (,(glm-gptel-auth--text "Check")
          . ,(if verdict
                 (glm-gptel-auth--with-cure (plist-get verdict :message)
                                            (plist-get verdict :action)
                                            (plist-get verdict :hint))
               (glm-gptel-auth--text
                "whether the service accepts the key was not checked")))
         ("gptel" . ,(glm-gptel-auth--use lines)))
       (append (plist-get done :notes) nil)
       lines)
      (message nil))))

;;;; The doctor: gptel

(defun glm-gptel-auth--finding (check level message &optional hint action)
  "Return a finding as glm-token's doctor has them, a plist.
CHECK, LEVEL, MESSAGE, HINT and ACTION are strings; the last two may be nil."
  (list :check check :level level :message message :hint hint :action action))

(defun glm-gptel-auth--check-gptel ()
  "Return a finding on whether there is a gptel, and one that hides tokens."
  (condition-case err
      (cond ((not (require 'gptel nil t))
             (glm-gptel-auth--finding
              "gptel" "warning" (glm-gptel-auth--text "gptel is not installed")
              (glm-gptel-auth--text
               "run M-x package-install RET gptel; for other packages, \
M-x glm-gptel-auth-source-enable")))
            ((version<= "0.9.9.5" (or (bound-and-true-p gptel-version) "0"))
             (glm-gptel-auth--finding
              "gptel" "ok"
              (glm-gptel-auth--text "version %s" gptel-version)))
            (t (glm-gptel-auth--finding
                "gptel" "warning"
                (glm-gptel-auth--text
                 "this gptel shows the token in the process list")
                (glm-gptel-auth--text "update gptel to 0.9.9.5 or later"))))
    ;; Of the settings that are made when it is loaded, too.
    (error (glm-gptel-auth--finding "gptel" "failure"
                                    (error-message-string err)))))

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

(defvar glm-gptel-auth--undecrypted nil
  "Non-nil when GnuPG could not decrypt a file without asking.")

(defun glm-gptel-auth--decrypt (decrypt &rest arguments)
  "Call DECRYPT, `epg-decrypt-file', with ARGUMENTS, and note when it fails.
Sources of auth-source pass over what they cannot decrypt."
  (condition-case err (apply decrypt arguments)
    (error (setq glm-gptel-auth--undecrypted t)
           (signal (car err) (cdr err)))))

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

(defun glm-gptel-auth--keys-in (source)
  "Return what SOURCE, an element of `auth-sources', has for GLM hosts.
It is a list of lists of a password, a host, and where it is: three strings."
  (let ((auth-sources (list source))
        (auth-source-do-cache nil))
    (cl-loop
     for host in glm-gptel-auth-hosts append
     (cl-loop
      ;; pass finds an entry for a user only if the user is named, as by gptel.
      for entry in (append (auth-source-search :host host :max 50
                                               :require '(:secret))
                           (auth-source-search :host host :user "apikey"
                                               :require '(:secret)))
      for secret = (plist-get entry :secret)
      for key = (if (functionp secret) (funcall secret) secret)
      unless (assoc key found)
      collect
      (list key host
            (or (glm-gptel-auth--line-with
                 key (if (consp source) (plist-get source :source) source))
                (glm-gptel-auth--text "the entry in `%s'" source)))
      into found
      finally return found))))

(defun glm-gptel-auth--check-source (source)
  "Return findings on keys in SOURCE, an element of `auth-sources'."
  (let* ((glm-gptel-auth--undecrypted nil)
         (found (ignore-errors (glm-gptel-auth--keys-in source))))
    (append
     (cl-loop for (key host place) in found
              ;; The same host may have a password for its pages.
              when (string-match-p "\\`[^. ]+\\.[^. ]+\\'" key)
              collect (glm-gptel-auth--finding
                       "auth-source" "warning"
                       (glm-gptel-auth--text "a key for %s is in %s" host place)
                       (glm-gptel-auth--text
                        "store it with C-u M-x glm-gptel-auth-store, and then \
remove %s" place)))
     (when glm-gptel-auth--undecrypted
       (list (glm-gptel-auth--finding
              "auth-source" "unchecked"
              (glm-gptel-auth--text
               "whether a key is in `%s', which GnuPG cannot open"
               source)))))))

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
   (mapcan #'glm-gptel-auth--check-source (remq 'glm-token auth-sources))))

;;;; The doctor: what a backend would send

(defun glm-gptel-auth--resolve-key (key)
  "Return KEY of a backend as gptel would: a string, a function, or nil.
Only functions that ask nobody but glm-token and auth-source are called."
  (while (and key (symbolp key) (not (functionp key)))
    (setq key (and (boundp key) (symbol-value key))))
  (if (memq key '(glm-gptel-auth-token gptel-api-key-from-auth-source))
      (funcall key)
    key))

(defun glm-gptel-auth--credential (backend buffer)
  "Return what BACKEND would authenticate with in a request from BUFFER.
It is a string or nil, or a function that would be asked for the key."
  (catch 'key
    (let ((gptel-backend (copy-sequence backend))
          (header (gptel-backend-header backend)))
      ;; A header that does without the key does not ask for it.
      (aset gptel-backend (cl-struct-slot-offset 'gptel-backend 'key)
            (lambda ()
              (throw 'key (glm-gptel-auth--resolve-key
                           (gptel-backend-key backend)))))
      (when (functionp header)
        (setq header (condition-case nil
                         (funcall header (list :backend gptel-backend
                                               :buffer buffer))
                       ;; Before gptel 0.9.9.5.
                       (wrong-number-of-arguments (funcall header)))))
      (cl-loop for (name . value) in header
               when (string-match-p "authorization\\|key" (downcase name))
               return (string-remove-prefix "Bearer " value)))))

(defun glm-gptel-auth--where (backend key)
  "Return where KEY, a string that BACKEND sends, comes from, a string."
  (let ((slot (gptel-backend-key backend))
        (glm-gptel-auth--undecrypted nil))
    (or (glm-gptel-auth--line-with key user-init-file)
        (glm-gptel-auth--line-with key custom-file)
        (cl-loop for source in (remq 'glm-token auth-sources)
                 thereis (nth 2 (assoc key (ignore-errors
                                             (glm-gptel-auth--keys-in
                                              source)))))
        (if (and slot (symbolp slot))
            (glm-gptel-auth--text "the variable `%s'" slot)
          (glm-gptel-auth--text "its definition")))))

(defun glm-gptel-auth--judge (backend sent asked)
  "Return a level, a message and a hint on SENT, what BACKEND would send.
ASKED is an alist of the tokens that glm-token gave, and of their accounts."
  (let ((mend (glm-gptel-auth--text
               "store the key with M-x glm-gptel-auth-store, and make the \
backend with `glm-gptel-auth-make-backend'")))
    (cond ((assoc sent asked)
           (list "ok" (glm-gptel-auth--text
                       "sends a token for %s"
                       (glm-gptel-auth--describe (cdr (assoc sent asked))))))
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
It calls what gptel would call, and nobody is asked for anything.  Added is
what to ask glm-token's doctor about it, `:params', a plist."
  (let* ((asked nil)
         (glm-gptel-auth--undecrypted nil)
         (glm-gptel-auth--look
          (lambda (account)
            (condition-case failure
                (let ((answer (glm-gptel-auth--request
                               'token (append account '(:ask :json-false)))))
                  (push (cons (plist-get answer :token) account) asked)
                  answer)
              (glm-gptel-auth-error
               (push (cons failure account) asked)
               (signal (car failure) (cdr failure))))))
         (judgement
          (condition-case err
              (glm-gptel-auth--judge
               backend (glm-gptel-auth--credential backend buffer) asked)
            (error
             (pcase (caar asked)
               ;; What is locked may be unlocked at the next request.
               (`(,_ ,(or "ERR_STORE_LOCKED" "ERR_PASSPHRASE") . ,said)
                (cons "unchecked" said))
               (`(,_ ,_ . ,said) (cons "failure" said))
               (_ (list "failure" (error-message-string err)))))))
         (url (format "%s" (gptel-backend-url backend))))
    (when glm-gptel-auth--undecrypted
      (setq judgement
            (list "unchecked"
                  (glm-gptel-auth--text
                   "its key may be in auth-source, which GnuPG cannot open"))))
    (append (apply #'glm-gptel-auth--finding "backend" (car judgement)
                   (glm-gptel-auth--text "%s: %s" (gptel-backend-name backend)
                                         (cadr judgement))
                   (cddr judgement))
            (list :params
                  (append (or (cdar asked)
                              (list :host (gptel-backend-host backend)))
                          (list :plan
                                (if (string-search "/api/coding/" url) "coding"
                                  "pay-as-you-go")))))))

(defun glm-gptel-auth--check-backends (buffer)
  "Return findings on the backends of gptel for GLM, as BUFFER has them.
These are those in use, in BUFFER too, and all known."
  (when (featurep 'gptel)
    (or (cl-loop
         for backend in (delete-dups
                         (append (list (buffer-local-value 'gptel-backend buffer)
                                       (default-value 'gptel-backend))
                                 (mapcar #'cdr gptel--known-backends)))
         when (and backend
                   (or (glm-gptel-auth--our-host-p (gptel-backend-host backend))
                       (assq backend glm-gptel-auth--backends)))
         collect (glm-gptel-auth--check-backend backend buffer))
        (list (glm-gptel-auth--finding
               "backend" "warning"
               (glm-gptel-auth--text "gptel has no backend for GLM")
               (glm-gptel-auth--text "run M-x %s" 'glm-gptel-auth-setup))))))

;;;; The doctor: what glm-token finds

(defun glm-gptel-auth--ask-doctor (backends live)
  "Return the findings of glm-token's doctor that BACKENDS, findings, have not.
It looks at their accounts, or at all that have a key.  LIVE non-nil means to
send a token to the service."
  (cl-loop
   for params in (delete-dups (mapcar (lambda (finding)
                                        (plist-get finding :params))
                                      (or backends '(nil))))
   for answer = (glm-gptel-auth--request
                 'doctor (append params (when live '(:live t))))
   append (append (plist-get answer :findings) nil) into findings
   finally return
   (cl-remove-if (lambda (finding)
                   (cl-some (lambda (backend)
                              (string-suffix-p (plist-get finding :message)
                                               (plist-get backend :message)))
                            backends))
                 (delete-dups findings))))

(defun glm-gptel-auth--check-version ()
  "Return a list of a finding if glm-token has another version, or nil.
Signal a failure when it does not answer."
  (let ((version (plist-get (glm-gptel-auth--request 'status) :version)))
    (unless (equal version glm-gptel-auth-version)
      (list (glm-gptel-auth--finding
             "helper" "warning"
             (glm-gptel-auth--text
              "glm-token is version %s, but glm-gptel-auth is %s"
              version glm-gptel-auth-version)
             (glm-gptel-auth--text
              "update both, then M-x glm-gptel-auth-restart"))))))

(defun glm-gptel-auth--check-tokens (buffer live)
  "Return findings on the helper, and on the tokens of requests from BUFFER.
LIVE non-nil means to send a token to the service."
  (condition-case failure
      (let* ((version (glm-gptel-auth--check-version))
             (backends (glm-gptel-auth--check-backends buffer)))
        (append version backends (glm-gptel-auth--ask-doctor backends live)
                (unless live
                  (list (glm-gptel-auth--finding
                         "live" "unchecked"
                         (glm-gptel-auth--text
                          "whether the service accepts a token")
                         (glm-gptel-auth--text
                          "C-u M-x glm-gptel-auth-doctor sends a minimal chat \
request (max_tokens=1)"))))))
    (glm-gptel-auth-error
     ;; Without its action, which may be this doctor.
     (list (glm-gptel-auth--finding "helper" "failure" (nth 2 failure)
                                    (nth 3 failure))
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
                  (glm-gptel-auth--with-cure (plist-get finding :message)
                                             (plist-get finding :action)
                                             (plist-get finding :hint))))))

;;;###autoload
(defun glm-gptel-auth-doctor (&optional live)
  "Check all that a token depends on, and show what is wrong and its cure.
It looks at what requests from this buffer would send, and asks nobody for
anything.  It reaches the hosts too, and may take 20 seconds.  With a prefix
argument, LIVE, send a minimal chat request (max_tokens=1) to the service for
each account."
  (interactive "P")
  (require 'auth-source)
  (require 'epg)
  (glm-gptel-auth--say "checking ...")
  (let* ((buffer (current-buffer))
         ;; It loads gptel, and so what init.el has for it, as M-x gptel does.
         (gptel (glm-gptel-auth--check-gptel))
         (epg-pinentry-mode 'error)     ; Rather than ask for a passphrase.
         (epa-suppress-error-buffer t)
         (decrypt (symbol-function 'epg-decrypt-file))
         (findings
          (cl-letf (((symbol-function 'epg-decrypt-file)
                     (apply-partially #'glm-gptel-auth--decrypt decrypt)))
            (append (list gptel)
                    (glm-gptel-auth--check-proxy)
                    (glm-gptel-auth--check-sources)
                    (glm-gptel-auth--check-tokens buffer live)))))
    (message nil)
    (glm-gptel-auth--show
     "*glm-token doctor*"
     (glm-gptel-auth--text "GLM token doctor; problems found: %d"
                           (cl-count-if (lambda (finding)
                                          (member (plist-get finding :level)
                                                  '("warning" "failure")))
                                        findings))
     (mapcar #'glm-gptel-auth--finding-row findings)
     (lambda ()
       (with-current-buffer (if (buffer-live-p buffer) buffer (current-buffer))
         (glm-gptel-auth-doctor live))))))

(provide 'glm-gptel-auth-setup)
;;; glm-gptel-auth-setup.el ends here
