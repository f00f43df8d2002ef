;;; glm-gptel-auth-source-test.el --- Tests of what auth-source is told  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; Run by auth-source.test.ts, in an environment with a real keychain that
;; holds a key for open.bigmodel.cn and none for api.z.ai.

;;; Code:

(require 'ert)
(require 'cl-lib)
(require 'auth-source)
(require 'tramp)
(require 'glm-gptel-auth)
(require 'glm-gptel-auth-source)

(defconst glm-test--command
  (list (getenv "GLM_TEST_NODE") (getenv "GLM_TEST_SCRIPT")))

(defmacro glm-test--with-variables (variables &rest body)
  "Evaluate BODY with VARIABLES in the environment of all of Emacs."
  (declare (indent 1) (debug t))
  `(let ((before (default-toplevel-value 'process-environment)))
     (set-default-toplevel-value 'process-environment (append ,variables before))
     (unwind-protect (progn ,@body)
       (set-default-toplevel-value 'process-environment before))))

(defmacro glm-test--with-source (&rest body)
  "Evaluate BODY with glm-token as the only source of auth-source.
Nothing may be asked for meanwhile."
  (declare (indent 0) (debug t))
  `(let ((auth-sources nil)
         (glm-gptel-auth-command glm-test--command))
     (glm-gptel-auth-source-enable)
     (unwind-protect
         (cl-letf (((symbol-function 'read-passwd)
                    (lambda (prompt &rest _) (error "Asked: %s" prompt))))
           ,@body)
       (glm-gptel-auth-source-disable)
       (glm-gptel-auth--stop-helper))))

(defmacro glm-test--without-program (&rest body)
  "Evaluate BODY where the program is missing, so that no token can come."
  (declare (indent 0) (debug t))
  `(let ((glm-gptel-auth-command '("/nowhere/glm-token")))
     (glm-gptel-auth--stop-helper)
     (auth-source-forget-all-cached)
     (unwind-protect (progn ,@body)
       (auth-source-forget-all-cached))))

(defmacro glm-test--with-netrc (text &rest body)
  "Evaluate BODY with a file that holds TEXT as the last source."
  (declare (indent 1) (debug t))
  `(let* ((file (make-temp-file "authinfo" nil nil ,text))
          (auth-sources (append auth-sources (list file))))
     (unwind-protect (progn ,@body)
       (delete-file file))))

(defun glm-test--secret (&rest spec)
  "Return the password that a search for SPEC finds, or nil."
  (apply #'auth-source-pick-first-password spec))

(defun glm-test--should-be-token (token)
  "Check that TOKEN looks like one."
  (should (string-match-p
           "\\`eyJ[-A-Za-z0-9_]+\\.[-A-Za-z0-9_]+\\.[-A-Za-z0-9_]+\\'" token)))

(defun glm-test--said ()
  "Return the last message that begins with \"GLM\"."
  (with-current-buffer "*Messages*"
    (goto-char (point-max))
    (re-search-backward "^GLM.*")
    (match-string 0)))

(defconst glm-test--searches-by-others
  '(() (:host t) (:user "me") (:port "smtp" :user "me")
    (:host ("open.bigmodel.cn")) (:host ("smtp.example.org" "open.bigmodel.cn"))
    (:host "smtp.example.org" :user "me")
    ;; TRAMP's, for the completion of hosts.
    (:port "ssh" :require (:port) :max 536870911))
  "Searches that are not for one host of ours.")

(ert-deftest glm-test-source-answers-only-for-a-host-of-ours-named-alone ()
  "With a key, and where the program is missing; nothing is started."
  (glm-test--with-source
    (dolist (spec glm-test--searches-by-others)
      (ert-info ((format "%S" spec))
        (should-not (apply #'auth-source-search spec))))
    (should-not (process-list))
    (glm-test--without-program
      (dolist (spec glm-test--searches-by-others)
        (ert-info ((format "%S, no program" spec))
          (should-not (apply #'auth-source-search spec)))))))

(ert-deftest glm-test-source-hides-nobodys-password ()
  "Mail's password is found behind a glm-token that does not work."
  (glm-test--with-source
    (glm-test--with-netrc "machine smtp.example.org login me port smtp password hush"
      (glm-test--without-program
        (dolist (spec '((:user "me" :port "smtp") (:host t :user "me")
                        (:host ("smtp.example.org" "open.bigmodel.cn"))))
          (ert-info ((format "%S" spec))
            (should (equal "hush" (apply #'glm-test--secret spec)))))))))

(ert-deftest glm-test-source-offers-tramp-no-host ()
  (glm-test--with-source
    (should-not (tramp-parse-auth-sources "ssh"))
    (glm-test--without-program
      (should-not (tramp-parse-auth-sources "ssh")))))

(ert-deftest glm-test-source-has-nothing-where-no-key-is-stored ()
  "So the next source is asked."
  (glm-test--with-source
    (dolist (spec '((:host "api.z.ai") (:host "api.z.ai" :user "apikey")
                    (:host "open.bigmodel.cn" :user "work")))
      (ert-info ((format "%S" spec))
        (should-not (apply #'auth-source-search spec))))
    (glm-test--with-netrc "machine api.z.ai login apikey password other"
      (should (equal "other" (glm-test--secret :host "api.z.ai" :user "apikey"
                                               :max 1))))))

(ert-deftest glm-test-source-forgets-nothing-once-a-key-is-stored ()
  "And the token once it is deleted."
  (glm-test--with-source
    (let ((spec '(:host "api.z.ai" :user "apikey" :require (:secret))))
      (should-not (apply #'auth-source-search spec))
      (cl-letf (((symbol-function 'read-passwd)
                 (lambda (&rest _) (copy-sequence "zai.secret")))
                ((symbol-function 'y-or-n-p) #'always))
        (glm-gptel-auth-store "api.z.ai" "default")
        (unwind-protect
            (glm-test--should-be-token (apply #'glm-test--secret spec))
          (glm-gptel-auth-delete "api.z.ai" "default")))
      (should-not (apply #'auth-source-search spec)))))

(ert-deftest glm-test-source-signals-the-cure-when-glm-token-is-broken ()
  "The search finds an entry, and its secret says what is wrong."
  (glm-test--with-source
    (glm-test--without-program
      (let ((entry (car (auth-source-search :host "open.bigmodel.cn"))))
        (should (string-match-p
                 "cannot find /nowhere/glm-token"
                 (cadr (should-error (funcall (plist-get entry :secret))
                                     :type 'user-error))))))))

(ert-deftest glm-test-source-signals-the-cure-when-the-key-file-is-locked ()
  "The search asks for nothing, and the secret names the command that unlocks."
  (let* ((home (make-temp-file "glm-home" t))
         (passphrase (expand-file-name "passphrase" home)))
    (with-temp-file passphrase (insert "correct horse"))
    (glm-test--with-variables (list (concat "HOME=" home)
                                    "GLM_TOKEN_STORE=file")
      (let ((process-environment
             (cons (concat "GLM_TOKEN_PASSPHRASE_FILE=" passphrase)
                   process-environment)))
        (with-temp-buffer
          (insert "id.secretsecret")
          (should (eql 0 (call-process-region
                          nil nil (car glm-test--command) t t nil
                          (cadr glm-test--command) "store")))))
      (glm-test--with-source
        (let* ((entry (let ((this-command 'glm-test))
                        (car (auth-source-search :host "open.bigmodel.cn"))))
               (secret (plist-get entry :secret)))
          (should (functionp secret))
          (should (string-match-p
                   "; run M-x glm-gptel-auth-unlock\\'"
                   (cadr (should-error (funcall secret) :type 'user-error))))))
      (delete-directory home t))))

(ert-deftest glm-test-source-gives-fresh-tokens-in-unibyte ()
  "auth-source remembers the entry, not the token."
  (glm-test--with-source
    (let* ((search (lambda () (glm-test--secret :host "open.bigmodel.cn"
                                                :user "apikey" :max 1)))
           (first (funcall search)))
      (glm-test--should-be-token first)
      (should-not (multibyte-string-p first))
      (sleep-for 0.003)
      (should-not (equal first (funcall search))))))

(ert-deftest glm-test-source-starts-no-helper-for-plain ()
  (glm-test--with-source
    (let* ((glm-gptel-auth-plain t)
           (entry (car (auth-source-search :host "open.bigmodel.cn"))))
      (glm-test--should-be-token (funcall (plist-get entry :secret)))
      (should-not (process-list)))))

(ert-deftest glm-test-source-entries ()
  "What an entry says, by what was asked for."
  (glm-test--with-source
    (pcase-dolist (`(,spec . ,found)
                   '(((:host "open.bigmodel.cn") "open.bigmodel.cn" "apikey" nil)
                     ((:host "Open.BigModel.CN" :user t) "Open.BigModel.CN"
                      "apikey" nil)
                     ((:host "open.bigmodel.cn" :user "default" :port 443)
                      "open.bigmodel.cn" "default" 443)
                     ((:host "open.bigmodel.cn" :user ("work" "apikey")
                       :port ("https" "443") :require (:user :port :secret))
                      "open.bigmodel.cn" "apikey" "https")))
      (ert-info ((format "%S" spec))
        (let ((entries (apply #'auth-source-search spec)))
          (should (equal 1 (length entries)))
          (should (equal found (mapcar (lambda (key)
                                         (plist-get (car entries) key))
                                       '(:host :user :port)))))))
    (should (eq t (auth-source-search :host "open.bigmodel.cn" :max 0)))
    (should-not (auth-source-search :host "open.bigmodel.cn" :require '(:pin)))))

(ert-deftest glm-test-source-neither-creates-nor-deletes ()
  (glm-test--with-source
    (should-not (auth-source-search :host "api.z.ai" :user "apikey" :create t))
    (should-not (auth-source-delete :host "open.bigmodel.cn"))
    (glm-test--should-be-token (glm-test--secret :host "open.bigmodel.cn"))))

(ert-deftest glm-test-source-commands-say-what-they-did ()
  "In init.el they are silent."
  (glm-test--with-source
    (message "GLM: nothing yet")
    (glm-gptel-auth-source-enable)
    (should (equal "GLM: nothing yet" (glm-test--said)))
    (call-interactively #'glm-gptel-auth-source-enable)
    (should (equal "GLM: auth-source gives out GLM tokens in this session"
                   (glm-test--said)))
    (call-interactively #'glm-gptel-auth-source-disable)
    (should (equal "GLM: auth-source no longer gives out GLM tokens"
                   (glm-test--said)))
    (should-not (memq 'glm-token auth-sources))))

(provide 'glm-gptel-auth-source-test)
;;; glm-gptel-auth-source-test.el ends here
