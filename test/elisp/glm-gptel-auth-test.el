;;; glm-gptel-auth-test.el --- Tests that need no gptel  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; Run by elisp.test.ts, in an environment with a real keychain that holds a
;; key for open.bigmodel.cn and none for api.z.ai.

;;; Code:

(require 'ert)
(require 'cl-lib)

(defvar glm-test--load-time
  (car (benchmark-run 1 (require 'glm-gptel-auth)))
  "How long `require' took, in seconds.")

(defvar glm-test--after-load (list (process-list)
                                   (featurep 'jsonrpc) (featurep 'gptel))
  "What `require' left behind.")

(require 'auth-source)
(defvar gptel-log-level)
(defvar gptel-mode-hook)

(defconst glm-test--node (getenv "GLM_TEST_NODE"))
(defconst glm-test--script (getenv "GLM_TEST_SCRIPT"))
(defconst glm-test--fake
  (expand-file-name "../support/fake-glm-token.sh"
                    (file-name-directory (or load-file-name buffer-file-name))))
(defconst glm-test--token-regexp
  "\\`eyJ[-A-Za-z0-9_]+\\.[-A-Za-z0-9_]+\\.[-A-Za-z0-9_]+\\'")

(defmacro glm-test--with (transport &rest body)
  "Evaluate BODY with TRANSPORT, and end the helper after it."
  (declare (indent 1) (debug t))
  `(let ((glm-gptel-auth-transport ,transport)
         (glm-gptel-auth-command (list glm-test--node glm-test--script)))
     (unwind-protect (progn ,@body)
       (glm-gptel-auth--stop-helper))))

(defmacro glm-test--with-each (&rest body)
  "Evaluate BODY with each transport."
  (declare (indent 0) (debug t))
  `(dolist (transport '(process helper))
     (glm-test--with transport ,@body)))

(defun glm-test--message (function &rest arguments)
  "Return the message of the `user-error' that FUNCTION signals on ARGUMENTS."
  (cadr (should-error (apply function arguments) :type 'user-error)))

(defun glm-test--should-be-token (token)
  "Check that TOKEN looks like one."
  (should (string-match-p glm-test--token-regexp token)))

(defun glm-test--buffers-with (regexp)
  "Return the names of all buffers that hold a match for REGEXP."
  (cl-loop for buffer in (buffer-list)
           unless (string-match-p "\\` ?\\*load" (buffer-name buffer))
           when (with-current-buffer buffer
                  (save-excursion
                    (save-restriction
                      (widen)
                      (goto-char (point-min))
                      (re-search-forward regexp nil t))))
           collect (buffer-name buffer)))

(defmacro glm-test--answering (key &rest body)
  "Evaluate BODY with KEY for each password and yes for each question."
  (declare (indent 1) (debug t))
  `(cl-letf (((symbol-function 'read-passwd)
              (lambda (&rest _) (copy-sequence ,key)))
             ((symbol-function 'y-or-n-p) #'always))
     ,@body))

;;;; Loading

(ert-deftest glm-test-require-starts-nothing ()
  (should (equal glm-test--after-load '(nil nil nil)))
  (should (numberp glm-test--load-time)))

(ert-deftest glm-test-finds-the-program-beside-this-file ()
  (let ((glm-gptel-auth-command nil))
    (should (equal (glm-gptel-auth--program)
                   (list (executable-find "node")
                         (expand-file-name
                          "../dist/cli.cjs" glm-gptel-auth--directory))))))

(ert-deftest glm-test-finds-node-on-a-short-path ()
  "An Emacs that a desktop started finds node in the usual places."
  (let* ((home (make-temp-file "glm-home" t))
         (bin (expand-file-name ".nvm/versions/node/v20.0.0/bin/" home))
         (process-environment (cons (concat "HOME=" home) process-environment))
         (exec-path '("/nowhere")))
    (make-directory bin t)
    (make-symbolic-link glm-test--node (expand-file-name "node" bin))
    (cl-letf ((glm-gptel-auth--node-places '("~/.nvm/versions/node/*/bin")))
      (should (equal (glm-gptel-auth--find-node)
                     (expand-file-name "node" bin))))
    (delete-directory home t)))

(ert-deftest glm-test-says-how-to-install-what-is-missing ()
  (let ((glm-gptel-auth-command nil)
        (glm-gptel-auth--directory "/nowhere/")
        (exec-path '("/nowhere")))
    (should (equal (glm-test--message #'glm-gptel-auth-token)
                   "GLM: the program glm-token is not found; \
install it with: npm install -g glm-token")))
  (dolist (glm-gptel-auth-transport '(process helper))
    (let ((glm-gptel-auth-command "/nowhere/glm-token"))
      (should (string-match-p "cannot find /nowhere/glm-token"
                              (glm-test--message #'glm-gptel-auth-token))))))

;;;; Tokens

(ert-deftest glm-test-token ()
  (glm-test--with-each
    (let ((first (glm-gptel-auth-token)))
      (glm-test--should-be-token first)
      (sleep-for 0.01)
      (should-not (equal first (glm-gptel-auth-token))))))

(ert-deftest glm-test-header-old-and-new-calling-convention ()
  (glm-test--with-each
    (dolist (arguments '(() (nil) ((:model glm-5.3))))
      (pcase-let ((`((,name . ,value))
                   (apply #'glm-gptel-auth-header arguments)))
        (should (equal name "Authorization"))
        (should (string-prefix-p "Bearer " value))
        (glm-test--should-be-token (substring value 7))))))

(ert-deftest glm-test-no-key-says-what-to-do ()
  (glm-test--with-each
    (should (equal (glm-test--message #'glm-gptel-auth-token "api.z.ai")
                   "GLM: no key is stored for api.z.ai; \
store it with M-x glm-gptel-auth-store"))
    (let ((glm-gptel-auth-profile "工作"))
      (should (equal (glm-test--message #'glm-gptel-auth-header)
                     "GLM: no key is stored for open.bigmodel.cn (profile 工作); \
store it with M-x glm-gptel-auth-store")))))

(ert-deftest glm-test-works-from-any-folder ()
  (glm-test--with-each
    (dolist (default-directory '("/ssh:nobody@nowhere.invalid:/home/nobody/"
                                 "/folder/that/is/gone/"))
      (glm-gptel-auth--stop-helper)
      (glm-test--should-be-token (glm-gptel-auth-token)))))

(ert-deftest glm-test-no-buffer-holds-a-token ()
  (glm-test--with-each
    (let ((token (glm-gptel-auth-token)))
      (should-not (glm-test--buffers-with (regexp-quote token)))
      (should-not (glm-test--buffers-with "eyJhbGci")))))

;;;; Time limits and C-g

(ert-deftest glm-test-time-limit ()
  "A program that never answers is given up, and leaves no process."
  (dolist (glm-gptel-auth-transport '(process helper))
    (let ((glm-gptel-auth-command '("sh" "-c" "exec sleep 60"))
          (glm-gptel-auth-timeout 0.3)
          (start (float-time)))
      (should (string-match-p "did not answer within"
                              (glm-test--message #'glm-gptel-auth-token)))
      (should (< (- (float-time) start) 20))
      (should-not (process-list)))))

(ert-deftest glm-test-can-be-quit-out-of ()
  (dolist (glm-gptel-auth-transport '(process helper))
    (let ((glm-gptel-auth-command '("sh" "-c" "exec sleep 60"))
          (glm-gptel-auth-timeout 30)
          (start (float-time)))
      (run-at-time 0.2 nil (lambda () (setq quit-flag t)))
      (should (eq 'quit (condition-case nil (glm-gptel-auth-token)
                          (quit 'quit))))
      (should (< (- (float-time) start) 20))
      (glm-gptel-auth--stop-helper)
      (should-not (process-list)))))

;;;; The helper in trouble

(ert-deftest glm-test-helper-is-kept ()
  (glm-test--with 'helper
    (glm-gptel-auth-token)
    (let ((helper glm-gptel-auth--helper))
      (dotimes (_ 50) (glm-gptel-auth-token))
      (should (eq helper glm-gptel-auth--helper))
      (should-not (process-query-on-exit-flag helper))
      (should (equal 1 (length (cl-remove-if-not
                                (lambda (process)
                                  (process-command process))
                                (process-list))))))))

(ert-deftest glm-test-warm-up ()
  "The first request finds a helper that was started before it."
  (glm-test--with 'helper
    (should (memq #'glm-gptel-auth--warm-up gptel-mode-hook))
    (let ((noninteractive nil))
      (glm-gptel-auth--warm-up)
      (let ((helper glm-gptel-auth--helper))
        (should (process-live-p helper))
        (glm-gptel-auth--warm-up)
        (glm-gptel-auth-token)
        (should (eq helper glm-gptel-auth--helper)))
      (glm-gptel-auth--stop-helper)
      (let ((glm-gptel-auth-transport 'process))
        (glm-gptel-auth--warm-up)
        (should-not glm-gptel-auth--helper)))))

(ert-deftest glm-test-helper-killed-is-replaced ()
  (glm-test--with 'helper
    (glm-gptel-auth-token)
    (let ((pid (process-id glm-gptel-auth--helper)))
      ;; Before a request, with Emacs not yet aware of it.
      (signal-process pid 'SIGKILL)
      (glm-test--should-be-token (glm-gptel-auth-token))
      (should-not (equal pid (process-id glm-gptel-auth--helper)))
      ;; After one, with Emacs aware.
      (signal-process glm-gptel-auth--helper 'SIGKILL)
      (while (process-live-p glm-gptel-auth--helper)
        (accept-process-output nil 0.01))
      (glm-test--should-be-token (glm-gptel-auth-token))
      ;; During one: it is stopped, so that it cannot answer, and then killed.
      (let ((helper glm-gptel-auth--helper))
        (signal-process helper 'SIGSTOP)
        (run-at-time 0.3 nil (lambda () (signal-process helper 'SIGKILL))))
      (glm-test--should-be-token (glm-gptel-auth-token)))))

(ert-deftest glm-test-helper-stopped-is-replaced ()
  (glm-test--with 'helper
    (glm-gptel-auth-token)
    (let ((glm-gptel-auth-timeout 0.5)
          (pid (process-id glm-gptel-auth--helper)))
      (signal-process pid 'SIGSTOP)
      (glm-test--should-be-token (glm-gptel-auth-token))
      (should-not (equal pid (process-id glm-gptel-auth--helper)))
      (with-timeout (2 (ert-fail "The stopped helper lives on"))
        (while (process-attributes pid) (accept-process-output nil 0.05))))))

(ert-deftest glm-test-bad-helper-is-replaced-once ()
  "Then one call does without, and there is no loop of restarts."
  (dolist (mode '("dies" "silent" "closed" "garbage" "half-frame" "wrong-id"
                  "other-protocol"))
    (let* ((log (make-temp-file "glm-fake"))
           (process-environment (cons (concat "GLM_FAKE_LOG=" log)
                                      process-environment))
           (glm-gptel-auth-transport 'helper)
           (glm-gptel-auth-command (list glm-test--fake mode))
           (glm-gptel-auth-timeout 0.5))
      (ert-info (mode :prefix "Helper: ")
        (glm-test--should-be-token (glm-gptel-auth-token))
        (should (equal "daemon\ndaemon\nprint\n"
                       (with-temp-buffer (insert-file-contents log)
                                         (buffer-string))))
        (should-not (process-list)))
      (delete-file log))))

(ert-deftest glm-test-what-is-no-token-is-not-sent ()
  (let* ((log (make-temp-file "glm-fake"))
         (process-environment (cons (concat "GLM_FAKE_LOG=" log)
                                    process-environment))
         (glm-gptel-auth-command (list glm-test--fake "no-token")))
    (should (string-match-p "printed no token"
                            (glm-test--message #'glm-gptel-auth-token)))
    (glm-gptel-auth--stop-helper)
    (delete-file log)))

(ert-deftest glm-test-ten-thousand-tokens-and-no-more-memory ()
  "A helper that has worked for long is replaced while it goes on working."
  (glm-test--with 'helper
    (cl-flet ((megabytes ()
                (/ (alist-get 'rss (process-attributes
                                    (process-id glm-gptel-auth--helper)))
                   1024.0)))
      (dotimes (_ 1000) (glm-gptel-auth-token))
      (let ((first (process-id glm-gptel-auth--helper))
            (memory (megabytes))
            (processes (length (process-list)))
            (buffers (length (buffer-list)))
            (replaced 0)
            pid)
        (dotimes (_ 10000)
          (glm-gptel-auth-token)
          (unless (equal pid (process-id glm-gptel-auth--helper))
            (setq pid (process-id glm-gptel-auth--helper)
                  replaced (1+ replaced))))
        (should-not (equal first pid))
        (should (< 4 replaced 8))
        (should (<= (length (process-list)) processes))
        (should (<= (length (buffer-list)) (1+ buffers)))
        (should (< (megabytes) (* 1.1 memory)))
        (should (< (megabytes) 80))))))

;;;; Storing and deleting

(ert-deftest glm-test-store-and-delete ()
  (glm-test--with-each
    (let ((host "api.z.ai") (profile "测试 1"))
      (glm-test--answering "abcd.verysecretsecret"
        (glm-gptel-auth-store host profile)
        (should-not (glm-test--buffers-with "verysecret"))
        (glm-test--should-be-token (glm-gptel-auth-token host profile))
        (glm-gptel-auth-store host profile)
        (glm-gptel-auth-delete host profile)
        (should (string-match-p
                 "no key is stored for api.z.ai (profile 测试 1)"
                 (glm-test--message #'glm-gptel-auth-token host profile)))))))

(ert-deftest glm-test-store-refuses-what-is-no-key ()
  (glm-test--with-each
    (glm-test--answering "nodotHUSH"
      (let ((message (glm-test--message #'glm-gptel-auth-store
                                        "api.z.ai" "default")))
        (should (string-match-p "it has no dot" message))
        (should-not (string-match-p "HUSH" message))))))

(ert-deftest glm-test-store-asks-before-it-replaces ()
  (glm-test--with 'helper
    (cl-letf (((symbol-function 'y-or-n-p) #'ignore)
              ((symbol-function 'read-passwd)
               (lambda (&rest _) (error "Not to be asked"))))
      (glm-gptel-auth-store "open.bigmodel.cn" "default"))))

;;;; auth-source

(defmacro glm-test--with-auth-source (&rest body)
  "Evaluate BODY with our backend in auth-source."
  (declare (indent 0) (debug t))
  `(let ((auth-sources nil))
     (glm-gptel-auth-source-enable)
     (glm-test--with 'helper
       (unwind-protect (progn ,@body)
         (glm-gptel-auth-source-disable)))))

(ert-deftest glm-test-auth-source-search ()
  (glm-test--with-auth-source
    (should (equal auth-sources '(glm-token)))
    (dolist (spec '((:host "open.bigmodel.cn")
                    (:host "open.bigmodel.cn" :user "apikey")
                    (:host "open.bigmodel.cn" :user "default" :port 443)
                    (:host ("api.z.ai" "open.bigmodel.cn") :max 5)
                    (:host "open.bigmodel.cn" :user t :require (:user :secret))
                    (:host "open.bigmodel.cn" :user ("apikey" "x") :port ("https"))
                    (:host t :max 3)))
      (let* ((found (apply #'auth-source-search spec))
             (secret (plist-get (car found) :secret)))
        (ert-info ((format "%S" spec))
          (should (equal 1 (length found)))
          (should (equal "open.bigmodel.cn" (plist-get (car found) :host)))
          (should (member (plist-get (car found) :user) '("apikey" "default")))
          (should (functionp secret))
          (let ((first (funcall secret)))
            (glm-test--should-be-token first)
            (sleep-for 0.003)
            (should-not (equal first (funcall secret)))))))
    (should (equal "apikey" (plist-get (car (auth-source-search
                                             :host "open.bigmodel.cn"
                                             :user "apikey"))
                                       :user)))
    (should-not (auth-source-search :host "open.bigmodel.cn" :user "nobody"))
    (should-not (auth-source-search :host "open.bigmodel.cn" :require '(:pin)))
    (should (eq t (auth-source-search :host "open.bigmodel.cn" :max 0)))
    (should-not (auth-source-search :host "api.z.ai"))
    (glm-test--should-be-token
     (auth-source-pick-first-password :host "open.bigmodel.cn"))))

(ert-deftest glm-test-auth-source-costs-others-nothing ()
  (glm-test--with-auth-source
    (glm-gptel-auth--stop-helper)
    (cl-letf (((symbol-function 'glm-gptel-auth--call)
               (lambda (&rest _) (error "Nothing is to be asked"))))
      (should-not (auth-source-search :host "smtp.example.org" :user "me"))
      (should-not (auth-source-search :host '("a.example" "b.example"))))
    (should-not (process-list)))
  (should-not (memq 'glm-token auth-sources)))

(ert-deftest glm-test-auth-source-create-and-delete ()
  "And what it remembered, the nothing too, is forgotten."
  (glm-test--with-auth-source
    (let ((spec '(:host "api.z.ai" :user "apikey")))
      (should-not (apply #'auth-source-search spec))
      (glm-test--answering "zai.secret"
        (should (apply #'auth-source-search :create t spec)))
      (glm-test--should-be-token (apply #'auth-source-pick-first-password spec))
      (should (apply #'auth-source-delete (copy-sequence spec)))
      (should-not (apply #'auth-source-search spec))
      (glm-test--answering "zai.secret"
        (glm-gptel-auth-store "api.z.ai" "default")
        (should (apply #'auth-source-search spec))
        (glm-gptel-auth-delete "api.z.ai" "default"))
      (should-not (apply #'auth-source-search spec)))))

(ert-deftest glm-test-auth-source-says-what-is-wrong-when-asked ()
  "Not while searching: other sources are to be searched all the same."
  (glm-test--with-auth-source
    (let* ((glm-gptel-auth-command '("/nowhere/glm-token"))
           (glm-gptel-auth--helper nil)
           (found (auth-source-search :host "open.bigmodel.cn")))
      (should (string-match-p "cannot find /nowhere/glm-token"
                              (glm-test--message
                               (plist-get (car found) :secret)))))
    (auth-source-forget-all-cached)))

(ert-deftest glm-test-import ()
  (glm-test--with 'helper
    (let* ((file (make-temp-file "authinfo" nil nil "\
machine smtp.example.org login me password hushhush
machine api.z.ai login apikey password importedid.importedsecret
machine open.bigmodel.cn login other password not-a-key
"))
           (text (with-temp-buffer (insert-file-contents file) (buffer-string)))
           (auth-sources (list file)))
      (glm-test--answering "unused"
        (glm-gptel-auth-import)
        (should (equal (format "GLM: stored the key of api.z.ai; now remove \
line 2 of %s" (abbreviate-file-name file))
                       (with-current-buffer "*Messages*"
                         (goto-char (point-max))
                         (re-search-backward "^GLM: .*")
                         (match-string 0))))
        (glm-test--should-be-token (glm-gptel-auth-token "api.z.ai"))
        (should (equal text (with-temp-buffer (insert-file-contents file)
                                              (buffer-string))))
        (should-not (glm-test--buffers-with "importedsecret"))
        (glm-gptel-auth-delete "api.z.ai" "default"))
      (delete-file file))))

;;;; Commands

(ert-deftest glm-test-doctor ()
  (glm-test--with 'helper
    (glm-gptel-auth-doctor)
    (with-current-buffer "*glm-token doctor*"
      (let ((text (buffer-string)))
        (dolist (part '("Program +ok " "Node +ok .*, version [0-9.]+$"
                        "Helper +ok +answers, version" "Store +ok "
                        "Accounts +ok +open\\.bigmodel\\.cn" "PATH +ok" "Log +ok"))
          (should (string-match-p part text)))
        (should-not (string-match-p "failure" text))))
    (let ((glm-gptel-auth-command '("/nowhere/x")) (gptel-log-level 'debug))
      (glm-gptel-auth--stop-helper)
      (glm-gptel-auth-doctor))
    (with-current-buffer "*glm-token doctor*"
      (should (string-match-p "Program +failure +cannot find /nowhere/x; check"
                              (buffer-string)))
      (should (string-match-p "[0-9] to look at" (buffer-string)))
      (should (string-match-p "Log +warning" (buffer-string))))))

(ert-deftest glm-test-status ()
  (glm-test--with-each
    (glm-gptel-auth-token)
    (glm-gptel-auth-status)
    (with-current-buffer "*glm-token status*"
      (let ((text (buffer-string)))
        (dolist (part `("Last token  came in [0-9.]+ ms"
                        "Accounts    open\\.bigmodel\\.cn (keychain)"
                        ,(regexp-quote glm-test--script)
                        ,(if (eq transport 'helper)
                             "Helper      process [0-9]+, glm-token 0\\.[0-9.]+, up 0s, 1 tokens"
                           "Transport   process")))
          (should (string-match-p part text)))
        (should-not (string-match-p "secretsecret\\|eyJ" text)))
      (revert-buffer))))

(ert-deftest glm-test-waiting-for-the-keychain-is-said ()
  "And the time limit grows meanwhile."
  (let* ((log (make-temp-file "glm-fake"))
         (process-environment (cons (concat "GLM_FAKE_LOG=" log)
                                    process-environment))
         (glm-gptel-auth-timeout 1)
         (glm-gptel-auth-transport 'helper)
         (glm-gptel-auth-command (list glm-test--fake "waiting")))
    (should (equal (glm-gptel-auth-token) "a.b.c"))
    (with-current-buffer "*Messages*"
      (goto-char (point-max))
      (should (search-backward "the keychain waits for you to unlock it" nil t)))
    (glm-gptel-auth--stop-helper)
    (delete-file log)))

(ert-deftest glm-test-restart ()
  (glm-test--with 'helper
    (glm-gptel-auth-token)
    (let ((pid (process-id glm-gptel-auth--helper)))
      (glm-gptel-auth-restart)
      (should (process-live-p glm-gptel-auth--helper))
      (should-not (equal pid (process-id glm-gptel-auth--helper)))
      (glm-gptel-auth-lock)
      (glm-test--should-be-token (glm-gptel-auth-token)))))

;;;; The encrypted key file

(defvar glm-test--asked nil
  "The prompts for a passphrase that were shown, the last one first.")

(defmacro glm-test--with-key-file (answers &rest body)
  "Evaluate BODY with a key in an encrypted file in place of the keychain.
ANSWERS, a list of strings, are typed when the passphrase is asked for.
It is \"correct horse\"."
  (declare (indent 1) (debug t))
  `(let* ((home (make-temp-file "glm-home" t))
          (process-environment (append (list (concat "HOME=" home)
                                             "GLM_TOKEN_STORE=file")
                                       process-environment))
          (passphrase (expand-file-name "passphrase" home))
          (answers ,answers)
          (glm-test--asked nil))
     (with-temp-file passphrase (insert "correct horse"))
     (cl-letf (((symbol-function 'read-passwd)
                (lambda (prompt &rest _)
                  (push prompt glm-test--asked)
                  (let ((answer (pop answers)))
                    (if (eq answer 'quit) (signal 'quit nil)
                      (copy-sequence answer))))))
       (unwind-protect
           (glm-test--with 'helper
             (let ((process-environment
                    (cons (concat "GLM_TOKEN_PASSPHRASE_FILE=" passphrase)
                          process-environment)))
               (glm-gptel-auth--run '("store") "id.secretsecret"))
             ,@body)
         (delete-directory home t)))))

(ert-deftest glm-test-passphrase-is-asked-for-once ()
  (glm-test--with-key-file '("correct horse")
    (dotimes (_ 3) (glm-test--should-be-token (glm-gptel-auth-token)))
    (should (equal glm-test--asked '("Passphrase of the GLM key file: ")))
    (should-not (glm-test--buffers-with "correct horse"))))

(ert-deftest glm-test-lock-forgets-the-passphrase ()
  (glm-test--with-key-file '("correct horse" "correct horse")
    (glm-gptel-auth-token)
    (glm-gptel-auth-lock)
    (glm-test--should-be-token (glm-gptel-auth-token))
    (should (length= glm-test--asked 2))))

(ert-deftest glm-test-lock-after ()
  (glm-test--with-key-file '("correct horse" "correct horse")
    (let ((glm-gptel-auth-lock-after "1s"))
      (glm-gptel-auth-token)
      (sleep-for 1.5)
      (glm-test--should-be-token (glm-gptel-auth-token))
      (should (length= glm-test--asked 2)))))

(ert-deftest glm-test-wrong-passphrase-is-asked-for-again-three-times ()
  (glm-test--with-key-file '("wrong" "wrong" "correct horse")
    (glm-test--should-be-token (glm-gptel-auth-token))
    (should (equal glm-test--asked
                   '("Not that; passphrase of the GLM key file: "
                     "Not that; passphrase of the GLM key file: "
                     "Passphrase of the GLM key file: "))))
  (glm-test--with-key-file '("wrong" "wrong" "wrong" "correct horse")
    (should (string-match-p
             "\\`GLM: that is not the passphrase of the key file (.*); try again, "
             (glm-test--message #'glm-gptel-auth-token)))
    (should (length= glm-test--asked 3))))

(ert-deftest glm-test-two-requests-at-once-ask-once ()
  "The second one comes while the first one asks."
  (glm-test--with-key-file nil
    (let (second)
      (cl-letf (((symbol-function 'read-passwd)
                 (lambda (prompt &rest _)
                   (push prompt glm-test--asked)
                   (run-at-time 0 nil
                                (lambda ()
                                  (setq second (glm-test--message
                                                #'glm-gptel-auth-token))))
                   (sleep-for 0.3)
                   (copy-sequence "correct horse"))))
        (glm-test--should-be-token (glm-gptel-auth-token))
        (should (equal second "GLM: the passphrase is being asked for already; \
type it in the minibuffer, and then try again"))
        (glm-test--should-be-token (glm-gptel-auth-token))
        (should (length= glm-test--asked 1))))))

(ert-deftest glm-test-passphrase-can-be-quit-out-of ()
  (glm-test--with-key-file '(quit "correct horse")
    (should (eq 'quit (condition-case nil (glm-gptel-auth-token) (quit 'quit))))
    (glm-test--should-be-token (glm-gptel-auth-token))))

(ert-deftest glm-test-passphrase-of-a-new-file ()
  "It is asked for when there is none yet, with a confirmation."
  (glm-test--with-key-file nil
    (delete-directory (expand-file-name ".local" home) t)
    (let (confirmed)
      (cl-letf (((symbol-function 'read-passwd)
                 (lambda (prompt &optional confirm _)
                   (push (cons prompt confirm) confirmed)
                   (copy-sequence (if confirm "battery staple" "id2.secret")))))
        (glm-gptel-auth-store "open.bigmodel.cn" "default")
        (glm-test--should-be-token (glm-gptel-auth-token))
        (should (equal confirmed
                       '(("New passphrase for the GLM key file: " . t)
                         ("API key for open.bigmodel.cn (id.secret): "))))))))

(ert-deftest glm-test-looking-does-not-ask-for-the-passphrase ()
  (glm-test--with-key-file '("correct horse")
    (glm-gptel-auth-status)
    (with-current-buffer "*glm-token status*"
      (dolist (part '("Store       the encrypted file (.*), locked$"
                      "Accounts    the key file is locked; the next request asks"))
        (should (string-match-p part (buffer-string)))))
    (glm-gptel-auth-doctor)
    (with-current-buffer "*glm-token doctor*"
      (should-not (string-match-p "failure" (buffer-string))))
    (let* ((auth-sources '(glm-token))
           (auth-source-do-cache nil)
           (auth-source-backend-parser-functions
            (cons #'glm-gptel-auth--parse auth-source-backend-parser-functions))
           (entry (car (auth-source-search :host "open.bigmodel.cn"))))
      (should entry)
      (should-not glm-test--asked)
      (glm-test--should-be-token (funcall (plist-get entry :secret)))
      (should (length= glm-test--asked 1)))
    (glm-gptel-auth-status)
    (with-current-buffer "*glm-token status*"
      (should (string-match-p "the encrypted file (.*), unlocked"
                              (buffer-string))))))

(ert-deftest glm-test-one-process-a-token-cannot-ask ()
  (glm-test--with-key-file nil
    (let ((glm-gptel-auth-transport 'process))
      (should (equal (glm-test--message #'glm-gptel-auth-token)
                     "GLM: the key file needs its passphrase; set \
`glm-gptel-auth-transport' to helper, which asks for it"))
      (setenv "GLM_TOKEN_PASSPHRASE_FILE" passphrase)
      (glm-test--should-be-token (glm-gptel-auth-token)))))

(ert-deftest glm-test-doctor-with-a-passphrase-file ()
  "It is locked until the accounts are asked for, and they are there then."
  (glm-test--with-key-file nil
    (setenv "GLM_TOKEN_PASSPHRASE_FILE" passphrase)
    (glm-gptel-auth-doctor)
    (with-current-buffer "*glm-token doctor*"
      (should (string-match-p "Accounts +ok +open\\.bigmodel\\.cn$"
                              (buffer-string))))))

(ert-deftest glm-test-latency-is-not-that-of-typing ()
  (glm-test--with-key-file nil
    (cl-letf (((symbol-function 'read-passwd)
               (lambda (&rest _) (sleep-for 1) (copy-sequence "correct horse"))))
      (let ((elapsed (car (benchmark-run 1 (glm-gptel-auth-token)))))
        (should (< glm-gptel-auth--latency (- elapsed 0.9)))))))

(ert-deftest glm-test-saved-clock-is-shown ()
  (glm-test--with-key-file '("correct horse")
    (let* ((now (truncate (* 1000 (float-time))))
           (up (with-temp-buffer (insert-file-contents "/proc/uptime")
                                 (read (current-buffer))))
           (file (expand-file-name ".local/share/glm-token/clock.json" home)))
      (with-temp-file file
        (insert (json-encode
                 `((offsetMs . 3600000) (measuredAtMs . ,now)
                   (bootedAtMs . ,(- now (truncate (* 1000 up))))
                   (host . "api.z.ai") (untilMs . ,(+ now 86400000))))))
      (set-file-modes file #o600)
      (glm-gptel-auth-status)
      (with-current-buffer "*glm-token status*"
        (should (string-match-p "Clock       tokens are signed on the time of \
api.z.ai, \\+3600 s from this clock's, until 20"
                                (buffer-string)))))))

(provide 'glm-gptel-auth-test)
;;; glm-gptel-auth-test.el ends here
