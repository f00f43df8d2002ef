;;; glm-gptel-auth-gptel-test.el --- Tests with a real gptel  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; Run by gptel.test.ts, with a stand-in for the GLM service at $GLM_TEST_HOST
;; and a real keychain that holds its key, and none for other hosts.

;;; Code:

(require 'ert)
(require 'cl-lib)
(require 'glm-gptel-auth)
(require 'gptel)

(defconst glm-test--host (getenv "GLM_TEST_HOST"))
(setq glm-gptel-auth-command
      (list (getenv "GLM_TEST_NODE") (getenv "GLM_TEST_SCRIPT")))

(defun glm-test--backend (name &rest args)
  "Make a backend NAME for the stand-in, with ARGS."
  (apply #'glm-gptel-auth-make-backend name
         (append args (list :host glm-test--host :protocol "http"))))

(defun glm-test--chat (backend)
  "Return a new gptel chat buffer for BACKEND with a prompt in it."
  (let ((buffer (generate-new-buffer "*glm chat*")))
    (with-current-buffer buffer
      (text-mode)
      (gptel-mode 1)
      (setq-local gptel-backend backend
                  gptel-model 'glm-5.3)
      (insert "Hi"))
    buffer))

(defun glm-test--send (buffer)
  "Send what is in BUFFER, and wait for the answer to be in it."
  (with-current-buffer buffer
    (gptel-send)
    (with-timeout (20 (ert-fail (list "No answer" (buffer-string))))
      (while (not (save-excursion (goto-char (point-min))
                                  (search-forward "Hello from GLM" nil t)))
        (accept-process-output nil 0.05)))
    (with-timeout (5 (ert-fail "The request does not end"))
      (while gptel--request-alist (accept-process-output nil 0.05)))))

(defun glm-test--requests ()
  "Return how many requests the stand-in saw."
  (with-temp-buffer
    (let ((url-show-status nil))
      (with-current-buffer
          (url-retrieve-synchronously (format "http://%s/seen" glm-test--host) t)
        (goto-char (point-min))
        (re-search-forward "\n\n")
        (prog1 (read (current-buffer)) (kill-buffer))))))

(defun glm-test--curl-processes ()
  "Return gptel's curl processes."
  (cl-remove-if-not (lambda (process)
                      (string-prefix-p "gptel-curl" (process-name process)))
                    (process-list)))

(ert-deftest glm-test-six-requests-and-six-tokens ()
  "Curl and url-retrieve, streaming and not; debug log on."
  (let ((gptel-log-level 'debug)
        (before (glm-test--requests)))
    (dolist (gptel-use-curl '(t nil))
      (dolist (stream '(t nil t))
        (glm-test--send (glm-test--chat (glm-test--backend "GLM" :stream stream)))))
    (should (equal 6 (- (glm-test--requests) before)))
    (dolist (buffer (buffer-list))
      (with-current-buffer buffer
        (save-excursion
          (goto-char (point-min))
          (should-not (search-forward "verysecretsecret" nil t)))))
    (should (get-buffer "*gptel-log*"))
    (should-not (memq 'verysecretsecret (list (recent-keys))))
    (should-not (glm-test--curl-processes))))

(ert-deftest glm-test-both-transports ()
  (dolist (glm-gptel-auth-transport '(process helper))
    (glm-test--send (glm-test--chat (glm-test--backend "GLM")))))

(ert-deftest glm-test-header-function-with-a-plain-backend ()
  (glm-test--send
   (glm-test--chat (gptel-make-openai "Plain"
                     :host glm-test--host :protocol "http"
                     :endpoint "/api/paas/v4/chat/completions"
                     :header #'glm-gptel-auth-header :stream t
                     :models '(glm-5.3)))))

(ert-deftest glm-test-fails-closed ()
  "No token: no request, no process, one sentence; and gptel goes on."
  (dolist (gptel-use-curl '(t nil))
    (dolist (glm-gptel-auth-transport '(helper process))
      (let* ((buffer (glm-test--chat (glm-test--backend "GLM" :profile "none")))
             (header (buffer-local-value 'header-line-format buffer))
             (buffers (buffer-list))
             (before (glm-test--requests)))
        (with-current-buffer buffer
          (let ((message (cadr (should-error (gptel-send) :type 'user-error))))
            (should (string-match-p
                     "\\`GLM: no key is stored for .* (profile none); store it with"
                     message)))
          (should (equal (buffer-string) "Hi"))
          (should (equal (format "%S" header)
                         (format "%S" header-line-format))))
        (should-not (glm-test--curl-processes))
        (should-not gptel--request-alist)
        (should-not (cl-find-if (lambda (buffer)
                                  (string-match-p "gptel-curl"
                                                  (buffer-name buffer)))
                                (cl-set-difference (buffer-list) buffers)))
        (should (equal before (glm-test--requests)))
        ;; At once, in the same buffer, with a profile that has a key.
        (with-current-buffer buffer
          (setq-local gptel-backend (glm-test--backend "GLM")))
        (glm-test--send buffer)))))

(ert-deftest glm-test-quitting-leaves-nothing ()
  (let ((glm-gptel-auth-command '("sh" "-c" "exec sleep 60"))
        (glm-gptel-auth-timeout 30)
        (gptel-use-curl t)
        (buffer (glm-test--chat (glm-test--backend "GLM"))))
    (glm-gptel-auth--stop-helper)
    (run-at-time 0.3 nil (lambda () (setq quit-flag t)))
    (with-current-buffer buffer
      (should (eq 'quit (condition-case nil (gptel-send) (quit 'quit)))))
    (should-not (glm-test--curl-processes))
    (glm-gptel-auth--stop-helper)))

(ert-deftest glm-test-a-request-unlocks-the-key-file ()
  "It asks for the passphrase and goes on; two of them ask once."
  (let* ((home (make-temp-file "glm-home" t))
         (passphrase (expand-file-name "passphrase" home))
         (process-environment (append (list (concat "HOME=" home)
                                            "GLM_TOKEN_STORE=file")
                                      process-environment))
         (gptel-use-curl t)
         (asked 0)
         (typed "wrong"))
    (with-temp-file passphrase (insert "correct horse"))
    (let ((process-environment
           (cons (concat "GLM_TOKEN_PASSPHRASE_FILE=" passphrase)
                 process-environment)))
      (glm-gptel-auth--run (list "store" "--host" glm-test--host)
                           "idinfile.anothersecret"))
    (glm-gptel-auth--stop-helper)
    (cl-letf (((symbol-function 'read-passwd)
               (lambda (&rest _) (cl-incf asked) (copy-sequence typed))))
      (let ((buffer (glm-test--chat (glm-test--backend "GLM")))
            (before (glm-test--requests)))
        (with-current-buffer buffer
          (should (string-match-p "\\`GLM: that is not the passphrase"
                                  (cadr (should-error (gptel-send)
                                                      :type 'user-error))))
          (should (equal (buffer-string) "Hi")))
        (should (equal asked 3))
        (should-not (glm-test--curl-processes))
        (should (equal before (glm-test--requests)))
        (setq asked 0
              typed "correct horse")
        (glm-test--send buffer)
        (glm-test--send (glm-test--chat (glm-test--backend "GLM")))
        (should (equal asked 1))))
    (glm-gptel-auth--stop-helper)
    (delete-directory home t)))

(ert-deftest glm-test-a-token-goes-only-to-the-host-it-is-for ()
  "The backend's host decides; only `glm-gptel-auth-host' overrides it."
  (let ((gptel-backend (glm-test--backend "GLM"))
        (elsewhere (glm-gptel-auth-make-backend "Elsewhere" :host "api.z.ai")))
    (should (glm-gptel-auth-header))
    (should-error (glm-gptel-auth-header (list :backend elsewhere))
                  :type 'user-error)
    (let ((glm-gptel-auth-host glm-test--host))
      (should (glm-gptel-auth-header (list :backend elsewhere))))))

(ert-deftest glm-test-key-from-auth-source ()
  "With gptel's own default `:key' and a plain backend, and fail closed."
  (let ((auth-sources nil))
    (glm-gptel-auth-source-enable)
    (let ((glm-gptel-auth-hosts (cons glm-test--host glm-gptel-auth-hosts))
          (plain (lambda (host)
                   (gptel-make-openai "Plain"
                     :host host :protocol "http" :stream t
                     :endpoint "/api/paas/v4/chat/completions"
                     :key #'gptel-api-key-from-auth-source
                     :models '(glm-5.3)))))
      (glm-test--send (glm-test--chat (funcall plain glm-test--host)))
      (let ((entry (car (auth-source-search :host glm-test--host :user "apikey")))
            (glm-gptel-auth-command '("/nowhere/glm-token"))
            (before (glm-test--requests)))
        (glm-gptel-auth--stop-helper)
        (should entry)
        (with-current-buffer (glm-test--chat (funcall plain glm-test--host))
          (should (string-match-p
                   "cannot find /nowhere/glm-token"
                   (cadr (should-error (gptel-send) :type 'user-error)))))
        (should-not (glm-test--curl-processes))
        (should (equal before (glm-test--requests)))))
    (glm-gptel-auth-source-disable)))

(defun glm-test--get (path)
  "Get PATH from the stand-in."
  (let ((url-show-status nil))
    (kill-buffer (url-retrieve-synchronously
                  (format "http://%s%s" glm-test--host path) t))))

(defun glm-test--said-p (regexp)
  "Return non-nil when a message matched REGEXP."
  (with-current-buffer "*Messages*"
    (goto-char (point-max))
    (re-search-backward regexp nil t)))

(ert-deftest glm-test-service-errors-are-explained ()
  "With curl and without, streaming and not, in English and in Chinese."
  (let ((n 0))
    (dolist (code '("1000" "1001" "1002" "1003" "1004" "1113" "1301" "1302"
                    "1303" "1304" "1305" "1308" "1309" "1310" "1311" "1312"
                    "1313" "401"))
      (let* ((gptel-use-curl (cl-evenp (setq n (1+ n))))
             (chinese (zerop (mod n 3)))
             (current-language-environment (if chinese "Chinese-GB" "English"))
             (buffer (glm-test--chat
                      (glm-test--backend "GLM" :stream (zerop (mod n 4))))))
        (glm-test--get (concat "/fail/429/" code))
        (with-current-buffer buffer
          (unwind-protect
              (progn
                (gptel-send)
                (with-timeout (10 (ert-fail (list "Not explained" code)))
                  (while (not (glm-test--said-p
                               (format "^GLM %s: .*%s" code
                                       (if chinese "；" "[a-z]; "))))
                    (accept-process-output nil 0.05))))
            (glm-test--get "/fail/200/none")))))))

(ert-deftest glm-test-errors-of-others-are-not-ours ()
  (let ((backend (gptel-make-openai "Other" :host "other.example"
                                    :models '(x))))
    (let* ((fsm (gptel-make-fsm :info (list :backend backend :post nil))))
      (glm-gptel-auth--explain-errors-of fsm)
      (should-not (plist-get (gptel-fsm-info fsm) :post)))))

(ert-deftest glm-test-make-backend ()
  (let ((backend (glm-gptel-auth-make-backend "GLM")))
    (should (equal (gptel-backend-host backend) "open.bigmodel.cn"))
    (should (equal (gptel-backend-url backend)
                   "https://open.bigmodel.cn/api/paas/v4/chat/completions"))
    (should (gptel-backend-stream backend))
    (should (equal (gptel-backend-models backend)
                   '(glm-5.3 glm-5.3-flash glm-5.2 glm-5.1 glm-5 glm-5-turbo
                             glm-5v-turbo glm-4.7 glm-4.7-flash glm-4.6
                             glm-4.5-air)))
    (should (equal (get 'glm-5.3 :context-window) 1000))
    (should (eq backend (gptel-get-backend "GLM")))
    (should (eq (type-of backend) 'gptel-deepseek)))
  (should (equal (gptel-backend-url
                  (glm-gptel-auth-make-backend "Plan" :coding-plan t))
                 "https://open.bigmodel.cn/api/coding/paas/v4/chat/completions"))
  (let ((backend (glm-gptel-auth-make-backend "Abroad"
                   :host "api.z.ai" :stream nil :models '(my-model)
                   :endpoint "/x" :request-params '(:temperature 1))))
    (should (equal (gptel-backend-url backend) "https://api.z.ai/x"))
    (should-not (gptel-backend-stream backend))
    (should (equal (gptel-backend-models backend) '(my-model)))
    (should (equal (gptel-backend-request-params backend) '(:temperature 1)))))

(ert-deftest glm-test-without-gptel-make-deepseek ()
  "As with a gptel that has none."
  (cl-letf (((symbol-function 'gptel-make-deepseek) nil))
    (should (eq (type-of (glm-gptel-auth-make-backend "GLM")) 'gptel-openai))))

(provide 'glm-gptel-auth-gptel-test)
;;; glm-gptel-auth-gptel-test.el ends here
