;;; glm-gptel-auth-setup-test.el --- Tests of the first run and the doctor  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; Run by setup.test.ts with a real gptel, in an environment with a real
;; keychain that holds a key for open.bigmodel.cn and none for api.z.ai, and
;; without network.

;;; Code:

(require 'ert)
(require 'cl-lib)
(require 'auth-source)
(require 'glm-gptel-auth)
(require 'glm-gptel-auth-setup)
(require 'glm-gptel-auth-source)
(require 'gptel)
(require 'gptel-openai)

;; A machine that runs tests is busy; limits are tested with limits of their own.
(setq glm-gptel-auth--seconds 30)
(setq glm-gptel-auth-command
      (list (getenv "GLM_TEST_NODE") (getenv "GLM_TEST_SCRIPT"))
      gptel-backend nil
      auth-sources nil)

(defmacro glm-test--with-environment (variables &rest body)
  "Evaluate BODY with VARIABLES, a list of strings, in Emacs' own environment."
  (declare (indent 1) (debug t))
  `(let* ((before (default-toplevel-value 'process-environment))
          (process-environment (append ,variables process-environment)))
     (set-default-toplevel-value 'process-environment process-environment)
     (unwind-protect (progn ,@body)
       (set-default-toplevel-value 'process-environment before))))

(defun glm-test--doctor (&rest backends)
  "Return what the doctor shows of a gptel that has BACKENDS.
Nobody may be asked for anything."
  (let ((this-command 'glm-gptel-auth-doctor)
        (gptel--known-backends
         (mapcar (lambda (backend) (cons (gptel-backend-name backend) backend))
                 backends)))
    (auth-source-forget-all-cached)
    (glm-gptel-auth--stop-helper)
    (unwind-protect
        (cl-letf (((symbol-function 'read-passwd)
                   (lambda (prompt &rest _) (error "Asked: %s" prompt))))
          (save-window-excursion (glm-gptel-auth-doctor)))
      (glm-gptel-auth--stop-helper))
    (with-current-buffer "*glm-token doctor*"
      (buffer-substring-no-properties (point-min) (point-max)))))

(defmacro glm-test--should-say (text &rest lines)
  "Check that each of LINES is a whole line of TEXT, but for the columns."
  (declare (indent 1) (debug t))
  `(let ((said (replace-regexp-in-string " +" " " ,text)))
     (dolist (line (list ,@lines))
       (ert-info ((format "%s\nin\n%s" line said))
         (should (member line (split-string said "\n")))))))

;;;; The first run

(defvar glm-test--said nil
  "What was asked and shown, the last one first.")

(defun glm-test--note (prompt)
  "Note PROMPT, after what the window with notes shows."
  (when-let* ((window (get-buffer-window "*GLM setup notes*")))
    (push (with-current-buffer (window-buffer window) (buffer-string))
          glm-test--said))
  (push prompt glm-test--said))

(defmacro glm-test--with-setup (answers &rest body)
  "Evaluate BODY, in which questions are answered with ANSWERS, a list, in turn.
For a choice, that is a regexp or nil for the default; for a question t or
nil; for a key a string; and `quit' gives up."
  (declare (indent 1) (debug t))
  `(let* ((answers ,answers)
          (this-command 'glm-gptel-auth-setup)
          (glm-test--said nil)
          (before (list (default-value 'gptel-backend)
                        (default-value 'gptel-model)))
          (next (lambda (prompt)
                  (glm-test--note prompt)
                  (let ((answer (pop answers)))
                    (if (eq answer 'quit) (signal 'quit nil) answer))))
          (completing-read-function
           (lambda (prompt table &rest arguments)
             (let ((choice (funcall next prompt)))
               (or (cl-find-if (lambda (title)
                                 (and choice (string-match-p choice title)))
                               (all-completions "" table))
                   (nth 4 arguments))))))
     (cl-letf (((symbol-function 'y-or-n-p) next)
               ((symbol-function 'read-passwd)
                (lambda (prompt &rest _)
                  (copy-sequence (funcall next prompt)))))
       (unwind-protect (save-window-excursion ,@body)
         (ignore-errors
           (glm-gptel-auth--request 'delete '(:host "api.z.ai")))
         (glm-gptel-auth--stop-helper)
         (setq-default gptel-backend (car before)
                       gptel-model (cadr before))
         (when (get-buffer "*GLM setup*") (kill-buffer "*GLM setup*"))))))

(defun glm-test--setup-text ()
  "Return what the buffer of the first run shows."
  (with-current-buffer "*GLM setup*"
    (buffer-substring-no-properties (point-min) (point-max))))

(ert-deftest glm-test-setup ()
  "Service, plan, key and check; then gptel has it, and the lines are shown."
  (glm-test--with-setup '("international" "Coding Plan" "zai.setupsecret" t)
    (glm-gptel-auth-setup)
    (should-not answers)
    (let ((said (mapconcat #'identity (reverse glm-test--said) "\n")))
      (dolist (part '("Which service" "Which plan" "terms name the tools"
                      "https://z\\.ai/manage-apikey" "API key" "Check the key"))
        (ert-info (part)
          (should (string-match part said))
          (setq said (substring said (match-end 0))))))
    (should-not (get-buffer "*GLM setup notes*"))
    (let ((text (glm-test--setup-text)))
      (dolist (part '("^Key for +api\\.z\\.ai$"
                      "^Check +not checked: cannot reach api\\.z\\.ai"
                      "^gptel +in use for this session"
                      "(setq gptel-backend (glm-gptel-auth-make-backend \\(.*\\)\
:host \"api\\.z\\.ai\" :coding-plan t)"))
        (ert-info (part) (should (string-match-p part text))))
      (should-not (string-match-p "setupsecret\\|eyJ" text)))
    (let ((backend (default-value 'gptel-backend)))
      (should (equal "https://api.z.ai/api/coding/paas/v4/chat/completions"
                     (gptel-backend-url backend)))
      (should (eq backend (gptel-get-backend (gptel-backend-name backend))))
      (should (memq (default-value 'gptel-model)
                    (gptel-backend-models backend))))
    (glm-test--should-say (glm-test--doctor (default-value 'gptel-backend))
      (format "backend ok %s: sends a token for api.z.ai"
              (gptel-backend-name (default-value 'gptel-backend))))))

(ert-deftest glm-test-setup-uses-the-key-that-is-there ()
  (glm-test--with-setup '("China" nil t nil)
    (glm-gptel-auth-setup)
    (should-not answers)
    (should (cl-find-if (lambda (said) (string-match-p "\\`Key id… is stored" said))
                        glm-test--said))
    (should (string-match-p
             "^Check +whether the service accepts the key was not checked$"
             (glm-test--setup-text)))))

(ert-deftest glm-test-setup-can-be-given-up-anywhere ()
  "What stays is a key that was stored by then, and nothing else."
  (pcase-dolist (`(,given . ,stored)
                 '(((quit) . nil)
                   (("international" quit) . nil)
                   (("international" nil quit) . nil)
                   (("international" nil "zai.x" quit) . t)))
    (glm-test--with-setup given
      (should (eq 'quit (condition-case nil (glm-gptel-auth-setup)
                          (quit 'quit))))
      (should-not answers)
      (dolist (buffer '("*GLM setup*" "*GLM setup notes*"))
        (should-not (get-buffer buffer)))
      (should (eq stored (and (ignore-errors (glm-gptel-auth-token "api.z.ai"))
                              t))))))

(ert-deftest glm-test-setup-begins-an-encrypted-file-without-a-keychain ()
  "If the user agrees; a no ends it."
  (let ((home (make-temp-file "glm-home" t)))
    (unwind-protect
        (glm-test--with-environment
            (list (concat "HOME=" home) "XDG_DATA_HOME" "XDG_RUNTIME_DIR"
                  "DBUS_SESSION_BUS_ADDRESS")
          (glm-test--with-setup '("China" nil nil)
            (should (string-match-p "GLM: nothing was stored; "
                                    (cadr (should-error (glm-gptel-auth-setup)
                                                        :type 'user-error))))
            (should-not (directory-files-recursively home "keys")))
          (glm-test--with-setup '("China" nil t "id2.secret" "battery staple"
                                  "battery staple" nil)
            (glm-gptel-auth-setup)
            (should-not answers)
            (should (directory-files-recursively home "keys\\.jwe"))))
      (delete-directory home t))))

(ert-deftest glm-test-setup-in-chinese ()
  (glm-test--with-environment '("GLM_TOKEN_LANG=zh")
    (glm-test--with-setup '(nil nil t nil)
      (glm-gptel-auth-setup)
      (dolist (said glm-test--said)
        (should (string-match-p "\\cC" said)))
      (let ((text (glm-test--setup-text)))
        (dolist (part '("^GLM 设置\n" "^账户 +open\\.bigmodel\\.cn$"
                        "^验证 +未验证服务是否接受这个 key$"
                        "^gptel +已在本次会话中启用"))
          (ert-info (part) (should (string-match-p part text))))))))

(defmacro glm-test--with-init (text &rest body)
  "Evaluate BODY with an init file that holds TEXT, and lines for it shown."
  (declare (indent 1) (debug t))
  `(let ((user-init-file (make-temp-file "init" nil ".el" ,text))
         (kill-ring nil))
     (unwind-protect
         (save-window-excursion
           (glm-gptel-auth--show-setup '(("Key" . "stored")) nil "(lines)\n")
           (with-current-buffer "*GLM setup*" ,@body))
       (when-let* ((buffer (find-buffer-visiting user-init-file)))
         (with-current-buffer buffer (set-buffer-modified-p nil))
         (kill-buffer buffer))
       (kill-buffer "*GLM setup*")
       (delete-file user-init-file))))

(ert-deftest glm-test-setup-lines-go-to-the-end-of-init-el ()
  "Or onto the kill ring; and nothing is saved."
  (glm-test--with-init "(before)"
    (call-interactively (key-binding "w"))
    (should (equal "(lines)\n" (current-kill 0)))
    (call-interactively (key-binding "i"))
    (should (equal user-init-file (buffer-file-name)))
    (should (equal "(before)\n(lines)\n" (buffer-string)))
    (should (buffer-modified-p))))

(ert-deftest glm-test-setup-lines-are-not-put-beside-older-ones ()
  "Of two blocks, the last one would win."
  (glm-test--with-init "(before)\n  (glm-gptel-auth-make-backend \"GLM\")\n"
    (call-interactively (key-binding "i"))
    (should (equal user-init-file (buffer-file-name)))
    (should-not (buffer-modified-p))
    (should (looking-at-p "  (glm-gptel-auth-make-backend"))
    (should (equal "(lines)\n" (current-kill 0)))))

;;;; What a backend sends

(defun glm-test--raw (name host key)
  "Return a backend NAME that was made without glm-token, for HOST with KEY."
  (gptel-make-openai name :host host :key key :models '(glm-5.3)))

(defconst glm-test--mend "; store the key with M-x glm-gptel-auth-store, and \
make the backend with `glm-gptel-auth-make-backend'"
  "The cure for a backend that does without glm-token.")

(ert-deftest glm-test-doctor-says-what-our-backends-send ()
  "Whose token it is, by host and profile, or what keeps it from coming."
  (glm-test--should-say
      (glm-test--doctor
       (glm-gptel-auth-make-backend "GLM")
       (gptel-make-openai "Plain" :host "open.bigmodel.cn" :models '(glm-5.3)
                          :header #'glm-gptel-auth-header)
       (glm-test--raw "Function" "open.bigmodel.cn" #'glm-gptel-auth-token)
       (glm-gptel-auth-make-backend "Work" :profile "work")
       (glm-gptel-auth-make-backend "Abroad" :host "api.z.ai")
       (gptel-make-openai "Other" :host "other.example" :models '(x)))
    "backend ok GLM: sends a token for open.bigmodel.cn"
    "backend ok Plain: sends a token for open.bigmodel.cn"
    "backend ok Function: sends a token for the default host"
    "backend failure Work: no key is stored for open.bigmodel.cn (profile \
work); run M-x glm-gptel-auth-store"
    "backend failure Abroad: no key is stored for api.z.ai; run M-x \
glm-gptel-auth-store"))

(ert-deftest glm-test-doctor-looks-at-no-other-backend ()
  "Its header is not called, and it is not named."
  (let ((text (glm-test--doctor
               (gptel-make-openai "Other" :host "other.example" :models '(x)
                                  :header (lambda (&optional _)
                                            (error "It was called"))))))
    (should-not (string-match-p "Other\\|It was called" text))
    (glm-test--should-say text "backend warning gptel has no backend for GLM; \
run M-x glm-gptel-auth-setup")))

(ert-deftest glm-test-doctor-sees-a-backend-that-another-replaced ()
  "The name is that of one of ours, and what is sent is the key itself."
  (let ((ours (glm-gptel-auth-make-backend "GLM"))
        (other (glm-test--raw "GLM" "open.bigmodel.cn" "id.secretsecret")))
    (let ((text (glm-test--doctor other)))
      (glm-test--should-say text
        (concat "backend warning GLM: sends the API key itself, from its \
definition" glm-test--mend))
      (should-not (string-match-p "secretsecret" text)))
    ;; The one that is in use may be the one that was replaced.
    (let ((gptel-backend ours))
      (glm-test--should-say (glm-test--doctor other)
        "backend ok GLM: sends a token for open.bigmodel.cn"))))

(ert-deftest glm-test-doctor-names-the-line-that-has-the-key ()
  "In the init file, or else the variable."
  (let* ((user-init-file (make-temp-file "init" nil ".el" "\
;; my settings
(setq my-glm-key \"id.secretsecret\")\n")))
    (unwind-protect
        (glm-test--should-say
            (glm-test--doctor
             (glm-test--raw "GLM" "open.bigmodel.cn" "id.secretsecret"))
          (concat "backend warning GLM: sends the API key itself, from line 2 \
of " (abbreviate-file-name user-init-file) glm-test--mend))
      (delete-file user-init-file)))
  (defvar glm-test--variable "id.secretsecret")
  (glm-test--should-say
      (glm-test--doctor
       (glm-test--raw "GLM" "open.bigmodel.cn" 'glm-test--variable))
    (concat "backend warning GLM: sends the API key itself, from the \
variable `glm-test--variable'" glm-test--mend)))

(ert-deftest glm-test-doctor-sees-a-token-that-is-not-ours ()
  "As a script makes them, for init.el."
  (glm-test--should-say
      (glm-test--doctor (glm-test--raw "GLM" "open.bigmodel.cn" "eyJh.eyJi.c"))
    (concat "backend warning GLM: sends a token that is not from glm-token, \
but from its definition" glm-test--mend)))

(ert-deftest glm-test-doctor-sees-that-nothing-is-sent ()
  (let ((text (glm-test--doctor (glm-test--raw "GLM" "open.bigmodel.cn" nil))))
    (glm-test--should-say text
      (concat "backend failure GLM: sends no key" glm-test--mend))))

(ert-deftest glm-test-doctor-calls-no-function-for-a-key ()
  "It could ask the user; that it was not called is said."
  (let ((called nil))
    (defun glm-test--key-function () (setq called t) "id.secretsecret")
    (let ((text (glm-test--doctor
                 (glm-test--raw "Named" "open.bigmodel.cn"
                                #'glm-test--key-function)
                 (glm-test--raw "Unnamed" "open.bigmodel.cn"
                                (lambda () (setq called t) "x")))))
      (should-not called)
      (glm-test--should-say text
        (concat "backend unchecked Named: its key comes from the function \
glm-test--key-function, which is not called here" glm-test--mend)
        (concat "backend unchecked Unnamed: its key comes from the function \
lambda, which is not called here" glm-test--mend)))))

(ert-deftest glm-test-doctor-looks-with-the-settings-of-the-buffer ()
  "Its profile, and its backend, which gptel need not know."
  (with-temp-buffer
    (setq-local glm-gptel-auth-profile "work"
                gptel-backend (glm-gptel-auth-make-backend "Here"))
    (glm-test--should-say (glm-test--doctor)
      "backend failure Here: no key is stored for open.bigmodel.cn (profile \
work); run M-x glm-gptel-auth-store")))

;;;; auth-source

(defmacro glm-test--with-netrc (text &rest body)
  "Evaluate BODY with a `file' that holds TEXT, and its `name'."
  (declare (indent 1) (debug t))
  `(let* ((file (make-temp-file "authinfo" nil nil ,text))
          (name (abbreviate-file-name file))
          (auth-sources nil))
     (unwind-protect (progn ,@body)
       (glm-gptel-auth-source-disable)
       (delete-file file))))

(defconst glm-test--netrc "\
machine smtp.example.org login me password hush
machine open.bigmodel.cn login apikey password netrcid.netrcsecret
machine api.z.ai login me@example.org password a-password-for-pages\n")

(ert-deftest glm-test-doctor-sees-which-source-answers-first ()
  (glm-test--with-netrc glm-test--netrc
    (let ((backend (glm-test--raw "Plain" "open.bigmodel.cn"
                                  #'gptel-api-key-from-auth-source)))
      (setq auth-sources (list file))
      (let ((text (glm-test--doctor backend)))
        (should-not (string-match-p "netrcsecret\\|hush" text))
        (glm-test--should-say text
          (format "backend warning Plain: sends the API key itself, from line \
2 of %s%s" name glm-test--mend)))
      ;; Enabled, and yet behind the file.
      (glm-gptel-auth-source-enable)
      (setq auth-sources (list file 'glm-token))
      (glm-test--should-say (glm-test--doctor backend)
        (format "backend warning Plain: sends the API key itself, from line 2 \
of %s%s" name glm-test--mend))
      (setq auth-sources (list 'glm-token file))
      (glm-test--should-say (glm-test--doctor backend)
        "backend ok Plain: sends a token for open.bigmodel.cn"))))

(ert-deftest glm-test-doctor-sees-what-auth-source-lacks ()
  (glm-test--with-netrc ""
    (let ((backend (glm-test--raw "Plain" "api.z.ai" 'gptel-api-key)))
      (glm-test--should-say (glm-test--doctor backend)
        "backend failure Plain: No ‘gptel-api-key’ found in the auth source")
      (glm-gptel-auth-source-enable)
      (glm-test--should-say (glm-test--doctor backend)
        "backend failure Plain: no key is stored for api.z.ai; run M-x \
glm-gptel-auth-store"))))

(ert-deftest glm-test-doctor-finds-keys-in-auth-sources ()
  "It names host and line, and takes no password for pages for a key."
  (glm-test--with-netrc glm-test--netrc
    (setq auth-sources (list file))
    (let ((text (glm-test--doctor)))
      (glm-test--should-say text
        (format "auth-source warning a key for open.bigmodel.cn is in line 2 \
of %s; store it with C-u M-x glm-gptel-auth-store, and then remove line 2 of %s"
                name name))
      (should-not (string-match-p "netrcsecret\\|hush\\|a-password\\|line 3"
                                  text)))
    (with-temp-buffer
      (insert-file-contents file)
      (should (equal glm-test--netrc (buffer-string))))))

(ert-deftest glm-test-doctor-sees-that-auth-source-lost-glm-token ()
  (let ((auth-sources nil))
    (glm-gptel-auth-source-enable)
    (should-not (string-match-p "^auth-source" (glm-test--doctor)))
    (setq auth-sources nil)
    (unwind-protect
        (glm-test--should-say (glm-test--doctor)
          "auth-source warning glm-token is not in `auth-sources', which was \
set after M-x glm-gptel-auth-source-enable; in init.el, enable it after the \
line that sets `auth-sources'")
      (glm-gptel-auth-source-disable))))

(ert-deftest glm-test-key-host-of-a-backend ()
  "auth-source is answered for it, and the doctor names it for a gateway."
  (let ((auth-sources nil)
        (glm-gptel-auth-hosts '("api.z.ai"))
        (backend (glm-gptel-auth-make-backend "Gateway"
                   :host "gateway.example" :key-host "open.bigmodel.cn")))
    (glm-gptel-auth-source-enable)
    (unwind-protect
        (progn
          (should (auth-source-search :host "open.bigmodel.cn"))
          (should-not (auth-source-search :host "gateway.example"))
          (glm-test--should-say (glm-test--doctor backend)
            "backend ok Gateway: sends a token for open.bigmodel.cn"))
      (glm-gptel-auth-source-disable))))

;;;; Stores that are locked

(defmacro glm-test--with-key-file (&rest body)
  "Evaluate BODY with a key in an encrypted file that is locked."
  (declare (indent 0) (debug t))
  `(let* ((home (make-temp-file "glm-home" t))
          (passphrase (expand-file-name "passphrase" home)))
     (unwind-protect
         (glm-test--with-environment (list (concat "HOME=" home)
                                           "GLM_TOKEN_STORE=file")
           (with-temp-file passphrase (insert "correct horse"))
           (with-temp-buffer
             (insert "id.secretsecret")
             (let ((process-environment
                    (cons (concat "GLM_TOKEN_PASSPHRASE_FILE=" passphrase)
                          process-environment)))
               (should (eql 0 (call-process-region
                               nil nil (car glm-gptel-auth-command) t t nil
                               (cadr glm-gptel-auth-command) "store")))))
           ,@body)
       (delete-directory home t))))

(ert-deftest glm-test-doctor-asks-for-no-passphrase ()
  (glm-test--with-key-file
    (should (string-match-p
             "^backend +unchecked +GLM: .*; run M-x glm-gptel-auth-unlock$"
             (glm-test--doctor (glm-gptel-auth-make-backend "GLM"))))))

;;;; gptel

(ert-deftest glm-test-doctor-names-the-proxies-of-gptel ()
  (let ((gptel-use-curl t)
        (gptel-proxy "http://me:hush@proxy.example:80")
        (url-proxy-services '(("https" . "url.example:80"))))
    (glm-test--should-say (glm-test--doctor)
      "proxy unchecked gptel's requests go through http://proxy.example:80 \
(`gptel-proxy'); the checks of host and clock go by the environment")
    (setq gptel-use-curl nil)
    (glm-test--should-say (glm-test--doctor)
      "proxy unchecked gptel's requests go through url.example:80 \
(`url-proxy-services'); the checks of host and clock go by the environment"))
  (let ((gptel-use-curl t) (gptel-proxy ""))
    (should-not (string-match-p "^proxy" (glm-test--doctor)))))

(ert-deftest glm-test-doctor-knows-old-versions-of-gptel ()
  (let ((gptel-version "0.9.9.4"))
    (glm-test--should-say (glm-test--doctor)
      "gptel warning this gptel shows the token in the process list; update \
gptel to 0.9.9.5 or later")))

;;;; The rest of the doctor

(ert-deftest glm-test-doctor ()
  "What Emacs sees and what the program finds, in one list; a thing is said once."
  (let ((text (glm-test--doctor
               (glm-gptel-auth-make-backend "GLM")
               (glm-gptel-auth-make-backend "Again")
               (glm-gptel-auth-make-backend "Abroad" :host "api.z.ai"))))
    (dolist (part '("^gptel +ok +version " "^version +ok " "^store +ok "
                    "^node +ok +[0-9.]+" "^key +ok .*open\\.bigmodel\\.cn"
                    "^host +failure +cannot reach open\\.bigmodel\\.cn"
                    "^host +failure +cannot reach api\\.z\\.ai"
                    "^live +unchecked +whether the service accepts a token; \
C-u M-x glm-gptel-auth-doctor sends a minimal chat request (max_tokens=1)$"))
      (should (string-match-p part text)))
    (should-not (string-match-p "secretsecret\\|eyJ" text))
    (dolist (once '("^store " "^node " "^version " "cannot reach open"
                    "no key is stored for api\\.z\\.ai"))
      (ert-info (once)
        (should (equal 1 (with-temp-buffer
                           (insert text)
                           (how-many once (point-min) (point-max)))))))
    (should (string-prefix-p "GLM token doctor; problems found: 3\n" text))))

(ert-deftest glm-test-doctor-of-a-program-that-is-missing ()
  "It names the cure once, and what it could not look at."
  (let* ((glm-gptel-auth-command '("/nowhere/x"))
         (text (glm-test--doctor (glm-gptel-auth-make-backend "GLM"))))
    (should (string-match-p "^helper +failure +cannot find /nowhere/x; check"
                            text))
    (should (string-match-p "^rest +unchecked +backends, store, keys" text))
    (should-not (string-match-p "M-x glm-gptel-auth-doctor" text))))

(ert-deftest glm-test-doctor-of-versions-that-differ ()
  (let ((glm-gptel-auth-version "0.0.1"))
    (should (string-match-p "^helper +warning +glm-token is version .*, but \
glm-gptel-auth is 0\\.0\\.1; update both, then M-x glm-gptel-auth-restart$"
                            (glm-test--doctor)))))

(ert-deftest glm-test-doctor-sees-GLM-API-KEY ()
  (glm-test--with-environment '("GLM_API_KEY=envid.envsecret")
    (should (string-match-p "^environment +warning +GLM_API_KEY is set"
                            (glm-test--doctor)))))

(ert-deftest glm-test-doctor-is-refreshed ()
  "\\`g' checks again, for the buffer that the first check was for."
  (let ((gptel--known-backends nil))
    (with-temp-buffer
      (setq-local gptel-backend (glm-gptel-auth-make-backend "Here"))
      (setq gptel--known-backends nil)
      (glm-gptel-auth-doctor)
      (with-current-buffer "*glm-token doctor*"
        (should (eq (key-binding "g") 'revert-buffer))
        (should (eq (window-buffer) (current-buffer)))
        (let ((inhibit-read-only t)) (erase-buffer))
        (revert-buffer)
        (should (string-match-p "^backend +ok +Here: " (buffer-string))))))
  (glm-gptel-auth--stop-helper))

(ert-deftest glm-test-doctor-in-chinese ()
  (glm-test--with-environment '("GLM_TOKEN_LANG=zh")
    (glm-test--should-say
        (glm-test--doctor
         (glm-gptel-auth-make-backend "GLM")
         (glm-test--raw "Raw" "open.bigmodel.cn" "id.secretsecret"))
      "GLM 令牌检查：发现 2 个问题"
      (concat "version 正常 glm-token " glm-gptel-auth-version)
      "backend 正常 GLM：发送 open.bigmodel.cn 的令牌"
      "backend 警告 Raw：直接发送 API key，它来自 backend 的定义；请用 M-x \
glm-gptel-auth-store 保存 key，并用 glm-gptel-auth-make-backend 创建 backend")))

(provide 'glm-gptel-auth-setup-test)
;;; glm-gptel-auth-setup-test.el ends here
