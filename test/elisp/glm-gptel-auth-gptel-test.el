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
(defvar native-comp-enable-subr-trampolines)

(defconst glm-test--host (getenv "GLM_TEST_HOST"))
;; A machine that runs tests is busy; limits are tested with limits of their own.
(setq glm-gptel-auth--seconds 30)

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

(defmacro glm-test--with-environment (variables &rest body)
  "Evaluate BODY with VARIABLES, a list of strings, in Emacs' own environment."
  (declare (indent 1) (debug t))
  `(let* ((before (default-toplevel-value 'process-environment))
          (process-environment (append ,variables process-environment)))
     (set-default-toplevel-value 'process-environment process-environment)
     (unwind-protect (progn ,@body)
       (set-default-toplevel-value 'process-environment before))))

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
  "Curl and url-retrieve, streaming and not, in English and Chinese; debug log on."
  (let ((gptel-log-level 'debug)
        (before (glm-test--requests)))
    (dolist (gptel-use-curl '(t nil))
      (dolist (stream '(t nil t))
        (let ((buffer (glm-test--chat (glm-test--backend "GLM" :stream stream))))
          ;; In Emacs 28, gptel itself sends no Chinese without curl: what
          ;; `json-serialize' makes there is multibyte.
          (unless (and (null gptel-use-curl)
                       (multibyte-string-p (json-serialize [])))
            (with-current-buffer buffer (insert " 你好")))
          (glm-test--send buffer))))
    (should (equal 6 (- (glm-test--requests) before)))
    (dolist (buffer (buffer-list))
      (with-current-buffer buffer
        (save-excursion
          (goto-char (point-min))
          (should-not (search-forward (concat "verysecret" "secret") nil t)))))
    (should (get-buffer "*gptel-log*"))
    (should-not (glm-test--curl-processes))))

(ert-deftest glm-test-plain ()
  "A process for each token, and none that stays."
  (let ((glm-gptel-auth-plain t))
    (glm-gptel-auth--stop-helper)
    (dolist (gptel-use-curl '(t nil))
      (glm-test--send (glm-test--chat (glm-test--backend "GLM"))))
    (should-not glm-gptel-auth--helper)))

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
    (dolist (glm-gptel-auth-plain '(nil t))
      (let* ((buffer (glm-test--chat (glm-test--backend "GLM" :profile "none")))
             (header (buffer-local-value 'header-line-format buffer))
             (buffers (buffer-list))
             (before (glm-test--requests)))
        (with-current-buffer buffer
          (let ((message (cadr (should-error (gptel-send) :type 'user-error))))
            (should (string-match-p
                     "\\`GLM: no key is stored for .* (profile none); run M-x glm-gptel-auth-store\\'"
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
         (this-command 'gptel-send)
         (gptel-use-curl t)
         (asked 0)
         (typed "wrong"))
   (glm-test--with-environment (list (concat "HOME=" home)
                                     "GLM_TOKEN_STORE=file")
    (with-temp-file passphrase (insert "correct horse"))
    (let ((process-environment
           (cons (concat "GLM_TOKEN_PASSPHRASE_FILE=" passphrase)
                 process-environment)))
      (with-temp-buffer
        (insert "idinfile.anothersecret")
        (should (eql 0 (call-process-region
                        nil nil (car glm-gptel-auth-command) t t nil
                        (cadr glm-gptel-auth-command)
                        "store" "--host" glm-test--host)))))
    (glm-gptel-auth--stop-helper)
    (cl-letf (((symbol-function 'read-passwd)
               (lambda (&rest _) (cl-incf asked) (copy-sequence typed))))
      (let ((buffer (glm-test--chat (glm-test--backend "GLM")))
            (before (glm-test--requests)))
        (with-current-buffer buffer
          (should (string-match-p "\\`GLM: wrong passphrase"
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
    (delete-directory home t))))

(ert-deftest glm-test-a-token-goes-only-to-the-host-it-is-for ()
  "The backend's host decides; only its own `:key-host' overrides it."
  (let ((gptel-backend (glm-test--backend "GLM"))
        (elsewhere (glm-gptel-auth-make-backend "Elsewhere" :host "api.z.ai"))
        (gateway (glm-gptel-auth-make-backend "Gateway"
                   :host "gateway.example" :key-host glm-test--host)))
    (should (glm-gptel-auth-header))
    (should (funcall (gptel-backend-header gateway) (list :backend gateway)))
    (dolist (backend (list elsewhere
                           (glm-gptel-auth-make-backend "Gateway"
                             :host "gateway.example")))
      (should (string-match-p
               (concat "no key is stored for " (gptel-backend-host backend))
               (cadr (should-error (funcall (gptel-backend-header backend)
                                            (list :backend backend))
                                   :type 'user-error)))))))

(defun glm-test--get (path)
  "Get PATH from the stand-in."
  (let ((url-show-status nil))
    (kill-buffer (url-retrieve-synchronously
                  (format "http://%s%s" glm-test--host path) t))))

(defun glm-test--said (regexp)
  "Return the last message that matches REGEXP, or nil."
  (with-current-buffer "*Messages*"
    (goto-char (point-max))
    (when (re-search-backward regexp nil t) (match-string 0))))

(defun glm-test--fail-with (code send)
  "Have the service answer CODE to what function SEND sends from a chat.
Return the buffer of the chat."
  (glm-test--get (format "/fail/429/%s" code))
  (let ((buffer (glm-test--chat (glm-test--backend "GLM"))))
    (unwind-protect
        (with-current-buffer buffer
          (funcall send)
          (with-timeout (10 (ert-fail "The request does not end"))
            (while gptel--request-alist (accept-process-output nil 0.05))))
      (glm-test--get "/fail/200/none"))
    buffer))

(defun glm-test--times-explained (code)
  "Return how often an error CODE of the service was explained."
  (with-current-buffer "*Messages*"
    (how-many (format "^GLM %s (.+): .*; [^ ]" code) (point-min) (point-max))))

(ert-deftest glm-test-service-errors-are-explained ()
  "Once each, in chats and for packages that call `gptel-request'.
The service's own sentence is repeated, since it would be covered."
  (dolist (gptel-use-curl '(t nil))
    (dolist (send (list #'gptel-send
                        (lambda ()
                          (gptel-request "Hi" :callback #'ignore))))
      (dolist (code '("1000" "1003" "1004" "1113"))
        (let ((before (glm-test--times-explained code)))
          (glm-test--fail-with code send)
          (with-timeout (10 (ert-fail (list "Not explained" code)))
            (while (= before (glm-test--times-explained code))
              (accept-process-output nil 0.05)))
          (sleep-for 0.2)
          (should (equal 1 (- (glm-test--times-explained code) before))))))))

(ert-deftest glm-test-quitting-an-explanation-leaves-gptel-alone ()
  "Its sentinel has done its work by then."
  (let ((glm-gptel-auth-command glm-gptel-auth-command)
        (gptel-use-curl t)
        chat)
    (should (condition-case nil
                (progn
                  (glm-test--fail-with
                   "1004" (lambda ()
                            (setq chat (current-buffer))
                            (gptel-send)
                            (glm-gptel-auth--stop-helper)
                            (setq glm-gptel-auth-command
                                  '("sh" "-c" "exec sleep 60"))
                            (run-at-time 2 nil
                                         (lambda () (setq quit-flag t)))))
                  (sleep-for 4)
                  nil)
              (quit t)))
    (glm-gptel-auth--stop-helper)
    (should-not gptel--request-alist)
    (should-not (glm-test--curl-processes))
    (should (string-match-p "Error" (format "%S" (buffer-local-value
                                                  'header-line-format chat))))))

(ert-deftest glm-test-a-refused-key-is-cured-by-storing-another ()
  "For the account of the request, whichever backend is current."
  (let* ((backend (glm-test--backend "GLM" :profile "work"))
         (account (list :host glm-test--host :profile "work"))
         asked)
    (cl-letf (((symbol-function 'glm-gptel-auth--request)
               (lambda (method params)
                 (setq asked (list method params))
                 '(:message "refused" :action "store"))))
      (glm-gptel-auth--explain-error
       (list :backend backend :glm-gptel-auth account
             :error '(:code "1004" :message "x")))
      (with-timeout (5 (ert-fail "Not explained"))
        (while (null asked) (accept-process-output nil 0.05))))
    (should (equal asked `(explain (,@account :code "1004"))))
    (should (glm-test--said
             (format "^GLM 1004 (x): %s (profile work): refused; \
run M-x glm-gptel-auth-store$" glm-test--host)))))

(ert-deftest glm-test-what-cannot-be-explained-is-left-alone ()
  "Among it the two positions that gptel 0.9.9.3 passes."
  (message "GLM: nothing yet")
  (dolist (arguments `((,(point-marker) ,(point-marker))
                       ((:glm-gptel-auth (:host "h") :error nil))
                       ((:glm-gptel-auth (:host "h")
                         :error (:code "987654" :message "x")))
                       ((:glm-gptel-auth (:host "h") :error "Could not parse"
                         :http-status "299"))
                       ;; Not ours.
                       ((:error (:code "1004" :message "x")))))
    (apply #'glm-gptel-auth--explain-error arguments)
    (sleep-for 0.3)
    (should (equal "GLM: nothing yet" (glm-test--said "^GLM.*")))))

(ert-deftest glm-test-store-is-for-the-current-backend ()
  (let ((current-prefix-arg nil))
    (let ((gptel-backend (glm-test--backend "GLM" :profile "work")))
      (should (equal (list glm-test--host "work")
                     (glm-gptel-auth--read-account))))
    (let ((gptel-backend (glm-test--backend "GLM" :key-host "api.z.ai")))
      (should (equal '("api.z.ai" "default") (glm-gptel-auth--read-account))))
    (let ((gptel-backend (gptel-make-openai "Other" :host "other.example"
                                            :models '(x))))
      (should (equal '("open.bigmodel.cn" "default")
                     (glm-gptel-auth--read-account))))))

;;;; Tool loops

(defun glm-test--serve-tool-call ()
  "Start a server that answers with a call of the tool \"glm\".
Only \"Another request\" gets a text.  Return its process."
  (make-network-process
   :name "glm tools" :server t :service t :host 'local :family 'ipv4
   :filter
   (lambda (connection request)
     (let ((body (if (string-search "Another request" request)
                     "{\"choices\":[{\"index\":0,\"finish_reason\":\"stop\",\
\"message\":{\"role\":\"assistant\",\"content\":\"Hello from GLM\"}}]}"
                   "{\"choices\":[{\"index\":0,\"finish_reason\":\"tool_calls\",\
\"message\":{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"call_1\",\
\"type\":\"function\",\"function\":{\"name\":\"glm\",\"arguments\":\"{}\"}}]}}]}")))
       (ignore-errors
         (process-send-string
          connection
          (format "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
Connection: close\r\nContent-Length: %d\r\n\r\n%s" (length body) body))
         (process-send-eof connection))))))

(defvar glm-test--failures nil
  "Messages of the errors that requests ended with.")

(defmacro glm-test--noting-failures (&rest body)
  "Evaluate BODY; note the message of an error instead of signalling it."
  (declare (indent 0) (debug t))
  `(condition-case err (progn ,@body)
     (user-error (push (cadr err) glm-test--failures))))

(defun glm-test--tool (asynchronous does)
  "Return a tool that calls function DOES; ASYNCHRONOUS is non-nil or nil."
  (gptel-make-tool
   :name "glm" :description "A tool" :args nil :confirm nil
   :async asynchronous
   :function (lambda (&optional callback)
               (funcall does)
               (if callback
                   (run-at-time 0.1 nil (lambda ()
                                          (glm-test--noting-failures
                                            (funcall callback "done"))))
                 "done"))))

(defun glm-test--chat-with-tool (server asynchronous does)
  "Return a chat with SERVER and its tool, ASYNCHRONOUS or not, that calls DOES."
  (let ((buffer (glm-test--chat
                 (glm-gptel-auth-make-backend "Tools"
                   :protocol "http" :stream nil :key-host glm-test--host
                   :host (format "127.0.0.1:%d"
                                 (process-contact server :service))))))
    (with-current-buffer buffer
      (setq-local gptel-use-tools t
                  gptel-tools (list (glm-test--tool asynchronous does))))
    buffer))

(defmacro glm-test--with-tool-loops (&rest body)
  "Evaluate BODY for each kind of tool loop, with `server' and `asynchronous'.
What fails is noted in `glm-test--failures'."
  (declare (indent 0) (debug t))
  `(let ((server (glm-test--serve-tool-call))
         (gptel-confirm-tool-calls nil)
         ;; How Emacs 30 reports errors in process sentinels.
         (command-error-function
          (lambda (err &rest _) (push (cadr err) glm-test--failures))))
     (unwind-protect
         (dolist (gptel-use-curl '(t nil))
           (dolist (asynchronous '(nil t))
             (ert-info ((format "curl %s, asynchronous %s"
                                gptel-use-curl asynchronous))
               (let ((glm-gptel-auth-profile nil)
                     (glm-test--failures nil))
                 ,@body))))
       (delete-process server))))

(defun glm-test--should-be-ready ()
  "Check that the request of this chat has ended, and left nothing behind."
  (should (memq (gptel-fsm-state gptel--fsm-last) '(DONE ERRS ABRT)))
  (should-not (string-match-p "Calling" (format "%S" header-line-format)))
  (should-not gptel--request-alist)
  (should-not (glm-test--curl-processes)))

(ert-deftest glm-test-a-tool-loop-that-fails-leaves-gptel-ready ()
  "The first request has a token, the second one, after the tool, has none."
  (glm-test--with-tool-loops
    (with-current-buffer
        (glm-test--chat-with-tool
         server asynchronous
         (lambda () (setq glm-gptel-auth-profile "none")))
      (gptel-send)
      (with-timeout (10 (ert-fail "The request does not fail"))
        (while (null glm-test--failures)
          (glm-test--noting-failures (accept-process-output nil 0.05))))
      (should (equal 1 (length glm-test--failures)))
      (should (string-match-p "(profile none)" (car glm-test--failures)))
      (glm-test--should-be-ready))))

(ert-deftest glm-test-a-tool-loop-that-is-left-leaves-gptel-ready ()
  "By \\[keyboard-quit], or by a throw, as that of `with-timeout'."
  (dolist (throws '(nil t))
    (glm-test--with-tool-loops
      (let ((glm-gptel-auth-command glm-gptel-auth-command) (left nil))
        (with-current-buffer
            (glm-test--chat-with-tool
             server asynchronous
             (lambda ()
               (glm-gptel-auth--stop-helper)
               (setq glm-gptel-auth-command '("sh" "-c" "exec sleep 60"))
               (run-at-time 1 nil (lambda ()
                                    (setq left t)
                                    (if throws (throw 'glm-test t)
                                      (setq quit-flag t))))))
          (condition-case nil
              (catch 'glm-test
                (gptel-send)
                (with-timeout (10 (ert-fail "It does not end"))
                  (while (not left) (accept-process-output nil 0.05))
                  (sleep-for 0.5)))
            ;; In Emacs 30, it ends the sentinel alone.
            (quit nil))
          (should left)
          (glm-gptel-auth--stop-helper)
          (glm-test--should-be-ready))))))

(ert-deftest glm-test-a-tool-loop-that-fails-leaves-other-requests-alone ()
  "A newer one of the same buffer too."
  (glm-test--with-tool-loops
    (let ((answered nil))
      (with-current-buffer
          (glm-test--chat-with-tool
           server asynchronous
           (lambda ()
             (gptel-request "Another request"
               :callback (lambda (response _) (setq answered response)))
             (setq glm-gptel-auth-profile "none")))
        (gptel-send)
        (with-timeout (10 (ert-fail "The request does not fail"))
          (while (null glm-test--failures)
            (glm-test--noting-failures (accept-process-output nil 0.05))))
        (with-timeout (10 (ert-fail "The other request was stopped"))
          (while (null answered) (accept-process-output nil 0.05)))
        (should (equal "Hello from GLM" answered))
        (with-timeout (10 (ert-fail "Something is left"))
          (while gptel--request-alist (accept-process-output nil 0.05)))
        (should (equal 1 (length glm-test--failures)))))))

(ert-deftest glm-test-a-throw-leaves-nothing ()
  "As that of `with-timeout', while the first token is waited for."
  (dolist (gptel-use-curl '(t nil))
    (let ((glm-gptel-auth-command '("sh" "-c" "exec sleep 60"))
          (buffer (glm-test--chat (glm-test--backend "GLM"))))
      (glm-gptel-auth--stop-helper)
      (with-current-buffer buffer
        (should (eq 'left (with-timeout (0.5 'left) (gptel-send)))))
      (should-not (glm-test--curl-processes))
      (should-not gptel--request-alist)
      (glm-gptel-auth--stop-helper))))

(ert-deftest glm-test-a-key-function-without-a-token-leaves-nothing ()
  "As `glm-gptel-auth-token' is for gptel's `:key'; curl is parked by then."
  (require 'gptel-openai)
  (dolist (gptel-use-curl '(t nil))
    (with-current-buffer
        (glm-test--chat
         (gptel-make-openai "Key" :host glm-test--host :protocol "http"
                            :key #'glm-gptel-auth-token :models '(glm-5.3)))
      (should-error (gptel-send) :type 'user-error)
      (should-not (glm-test--curl-processes))
      (should-not gptel--request-alist))))

(ert-deftest glm-test-waiting-is-seen-without-curl ()
  "gptel inhibits messages when it asks for headers then."
  (let ((glm-gptel-auth-command
         (list (expand-file-name "../support/fake-glm-token.sh"
                                 (file-name-directory
                                  (locate-library "glm-gptel-auth-gptel-test")))
               "waiting-dies"))
        (gptel-use-curl nil)
        (buffer (glm-test--chat (glm-test--backend "GLM")))
        (message (symbol-function 'message))
        (native-comp-enable-subr-trampolines nil)
        (said nil))
    (glm-gptel-auth--stop-helper)
    (glm-test--with-environment '("GLM_FAKE_LOG=/dev/null")
      (cl-letf (((symbol-function 'message)
                 (lambda (format &rest args)
                   (unless inhibit-message
                     (push (apply #'format format args) said))
                   (apply message format args))))
        (with-current-buffer buffer
          (should-error (gptel-send) :type 'user-error))))
    (glm-gptel-auth--stop-helper)
    (should (member "GLM: waiting for the keychain; unlock it if it prompts \
you (C-g to give up)" said))))

(defun glm-test--serve-proxy (answer)
  "Start a proxy in front of a service that answers with ANSWER.
Return its process."
  (make-network-process
   :name "glm proxy" :server t :service t :host 'local :family 'ipv4
   :filter
   (lambda (connection request)
     (ignore-errors
       (process-send-string
        connection
        (if (string-prefix-p "CONNECT " request)
            (concat "HTTP/1.1 200 Connection established\r\n"
                    "Via: a proxy with a name that is not short\r\n\r\n")
          answer))
       (unless (string-prefix-p "CONNECT " request)
         (process-send-eof connection))))))

(defun glm-test--send-through-proxy (stream answer)
  "Send a request, with STREAM non-nil or nil, through a proxy.
The service answers with ANSWER.  Return the buffer of the chat."
  (let* ((proxy (glm-test--serve-proxy answer))
         (gptel-use-curl t)
         (buffer (glm-test--chat
                  (glm-test--backend
                   "GLM" :stream stream
                   :curl-args
                   (list "--proxytunnel" "--noproxy" "" "--proxy"
                         (format "http://127.0.0.1:%d"
                                 (process-contact proxy :service)))))))
    (unwind-protect
        (with-current-buffer buffer
          (gptel-send)
          (with-timeout (10 (ert-fail "The request does not end"))
            (while gptel--request-alist (accept-process-output nil 0.05))))
      (delete-process proxy))
    buffer))

(ert-deftest glm-test-service-errors-behind-a-proxy-are-seen ()
  "Where answers are streamed; gptel would take the proxy's 200 for them."
  (let ((before (glm-test--times-explained "401")))
    (with-current-buffer
        (glm-test--send-through-proxy
         t "HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\n\
Connection: close\r\n\r\n{\"error\":{\"code\":\"1004\",\"message\":\"refused\"}}")
      (should (string-match-p "Error" (format "%S" header-line-format))))
    (with-timeout (10 (ert-fail "Not explained"))
      (while (= before (glm-test--times-explained "401"))
        (accept-process-output nil 0.05)))))

(ert-deftest glm-test-answers-behind-a-proxy-are-read ()
  "Streamed or not."
  (pcase-dolist
      (`(,stream ,type ,body)
       '((t "text/event-stream" "data: {\"choices\":[{\"index\":0,\"delta\":\
{\"content\":\"Hello from GLM\"}}]}\n\ndata: [DONE]\n\n")
         (nil "application/json" "{\"choices\":[{\"index\":0,\
\"finish_reason\":\"stop\",\"message\":{\"role\":\"assistant\",\
\"content\":\"Hello from GLM\"}}]}")))
    (with-current-buffer
        (glm-test--send-through-proxy
         stream (format "HTTP/1.1 200 OK\r\nContent-Type: %s\r\n\
Connection: close\r\n\r\n%s" type body))
      (should (string-search "Hello from GLM" (buffer-string))))))

(defun glm-test--serve-pieces ()
  "Start a server that streams a call of the tool \"glm\", and then an answer.
The arguments come in pieces, as with the service's `tool_stream'.
Return its process; its property `bodies' holds what it was asked."
  (let ((pieces '("{\"reasoning_content\":\"Hm\"}"
                  "{\"tool_calls\":[{\"id\":\"c1\",\"index\":0,\"type\":\"function\",\
\"function\":{\"name\":\"glm\",\"arguments\":\"\"}}]}"
                  "{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"word\\\":\"}}]}"
                  "{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"\\\"你好\\\"}\"}}]}"))
        server)
    (setq server
          (make-network-process
           :name "glm pieces" :server t :service t :host 'local :family 'ipv4
           :coding 'utf-8-unix
           :filter
           (lambda (connection request)
             (let* ((asked (concat (process-get connection 'asked) request))
                    (second (string-search "\"role\":\"tool\"" asked)))
               (process-put connection 'asked asked)
               ;; All of it has come.
               (when (string-suffix-p "}" asked)
                 (process-put server 'bodies
                              (cons asked (process-get server 'bodies)))
                 (ignore-errors
                   (process-send-string
                    connection
                    (concat "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
Connection: close\r\n\r\n"
                            (mapconcat
                             (lambda (delta)
                               (format "data: {\"choices\":[{\"index\":0,\
\"delta\":%s}]}\n\n" delta))
                             (if second '("{\"content\":\"Hello from GLM\"}")
                               pieces)
                             "")
                            (format "data: {\"choices\":[{\"index\":0,\"delta\":{},\
\"finish_reason\":\"%s\"}]}\n\ndata: [DONE]\n\n"
                                    (if second "stop" "tool_calls"))))
                   (process-send-eof connection)))))))))

(ert-deftest glm-test-arguments-of-tools-come-in-pieces ()
  "As `tool_stream' has it; and what the model thought goes back with them."
  (let* ((server (glm-test--serve-pieces))
         (gptel-use-curl t)
         (gptel-confirm-tool-calls nil)
         (words nil)
         (buffer (glm-test--chat
                  (glm-gptel-auth-make-backend "Pieces"
                    :protocol "http" :key-host glm-test--host
                    :host (format "127.0.0.1:%d"
                                  (process-contact server :service))))))
    (unwind-protect
        (progn
          (with-current-buffer buffer
            (setq-local gptel-use-tools t
                        gptel-tools
                        (list (gptel-make-tool
                               :name "glm" :description "A tool" :confirm nil
                               :args '((:name "word" :type string
                                        :description "A word"))
                               :function (lambda (word) (push word words)
                                           "done")))))
          (glm-test--send buffer)
          (should (equal '("你好") words))
          (pcase-let ((`(,second ,first) (process-get server 'bodies)))
            (should (string-search "\"tool_stream\":true" first))
            (should (string-search "\"clear_thinking\":false" first))
            (should (string-search "\"reasoning_content\":\"Hm\"" second))))
      (delete-process server))))

(ert-deftest glm-test-no-user-option-of-gptel-is-changed ()
  "Whoever saves it would keep our private names in custom.el."
  (glm-test--backend "GLM")
  (mapatoms
   (lambda (symbol)
     (when (and (string-prefix-p "gptel" (symbol-name symbol))
                (custom-variable-p symbol)
                (default-boundp symbol))
       (should-not (string-match-p "glm-gptel-auth"
                                   (format "%S" (default-value symbol))))))))

(ert-deftest glm-test-make-backend ()
  (let ((backend (glm-gptel-auth-make-backend "GLM")))
    (should (equal (gptel-backend-host backend) "open.bigmodel.cn"))
    (should (equal (gptel-backend-url backend)
                   "https://open.bigmodel.cn/api/paas/v4/chat/completions"))
    (should (gptel-backend-stream backend))
    (should (equal (gptel-backend-models backend)
                   '(glm-5.3 glm-5.3-flash glm-5.2 glm-5.1 glm-5 glm-5-turbo
                             glm-5v-turbo glm-4.7 glm-4.7-flash
                             glm-4.7-flashx glm-4.6 glm-4.6v glm-4.5-air
                             glm-4.5-flash)))
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

(ert-deftest glm-test-models-of-the-coding-plan ()
  "They are the default for its endpoint, and gptel knows their abilities."
  (let ((backend (glm-gptel-auth-make-backend "Plan" :coding-plan t)))
    (should (equal (gptel-backend-models backend)
                   '(glm-5.4 glm-5.3 glm-5.2 glm-5.1 glm-5-turbo glm-4.7
                             glm-4.5-air)))
    (should (memq 'media (get 'glm-5.4 :capabilities)))
    (should (equal 1000 (get 'glm-5.3 :context-window))))
  (should (equal '(my-model)
                 (gptel-backend-models
                  (glm-gptel-auth-make-backend "Plan" :coding-plan t
                                               :models '(my-model))))))

(ert-deftest glm-test-effort-and-thinking ()
  "What the service is told, by what was asked for; the user's word is last."
  (pcase-dolist
      (`(,arguments . ,params)
       '((() :thinking (:type "enabled" :clear_thinking :json-false)
          :tool_stream t)
         ((:stream nil) :thinking (:type "enabled" :clear_thinking :json-false))
         ((:coding-plan t) :tool_stream t)
         ((:coding-plan t :thinking t :stream nil) :thinking (:type "enabled"))
         ((:thinking nil :stream nil) :thinking (:type "disabled"))
         ((:effort high :coding-plan t)
          :reasoning_effort "high" :tool_stream t)
         ((:effort low :endpoint "/x") :reasoning_effort "low")
         ((:effort max :request-params (:temperature 1 :tool_stream :json-false)
           :coding-plan t)
          :reasoning_effort "max" :tool_stream :json-false :temperature 1)))
    (should (equal params
                   (gptel-backend-request-params
                    (apply #'glm-gptel-auth-make-backend "GLM" arguments))))))

(ert-deftest glm-test-what-is-no-host-is-refused ()
  (dolist (host '("https://api.z.ai/api" "api.z.ai/" "" api.z.ai nil))
    (should (equal "GLM: :host is a string such as \"api.z.ai\", \
without https:// and path"
                   (cadr (should-error
                          (glm-gptel-auth-make-backend "GLM" :host host)
                          :type 'user-error))))))

(ert-deftest glm-test-without-gptel-make-deepseek ()
  "As with a gptel that has none."
  (cl-letf (((symbol-function 'gptel-make-deepseek) nil))
    (should (eq (type-of (glm-gptel-auth-make-backend "GLM")) 'gptel-openai))))

;;;; How each version of gptel calls us

(ert-deftest glm-test-header-with-an-argument-and-without ()
  "Before 0.9.9.5, gptel calls `:header' functions without an argument."
  (dolist (backend (list (glm-test--backend "GLM")
                         (gptel-make-openai "Plain"
                           :host glm-test--host :models '(glm-5.3)
                           :header #'glm-gptel-auth-header)))
    (let ((gptel-backend backend))
      (dolist (arguments `(() ((:backend ,backend))))
        (let ((headers (apply (gptel-backend-header backend) arguments)))
          (should (string-prefix-p "Bearer ey"
                                   (cdr (assoc "Authorization" headers)))))))))

(ert-deftest glm-test-profile-of-a-buffer ()
  "gptel asks for headers in another buffer than that of the request."
  (let ((backend (glm-test--backend "GLM"))
        asked)
    (cl-letf (((symbol-function 'glm-gptel-auth--token)
               (lambda (account _info)
                 (push (plist-get account :profile) asked)
                 "a"))
              (glm-gptel-auth-profile "everywhere"))
      ;; nil says that glm-token decides, as it does anywhere else.
      (dolist (profile '("work" nil))
        (with-temp-buffer
          (setq-local glm-gptel-auth-profile profile)
          (let ((info (list :backend backend :buffer (current-buffer))))
            (with-temp-buffer (funcall (gptel-backend-header backend) info))))
        (should (equal profile (pop asked)))))))

(ert-deftest glm-test-header-fails-closed-where-no-curl-is-parked ()
  "Before 0.9.9.5, gptel asks for headers in the chat buffer, without curl."
  (let* ((backend (glm-test--backend "GLM" :profile "none"))
         (gptel-backend backend))
    (with-temp-buffer
      (insert "Hi")
      (dolist (arguments `(() ((:backend ,backend :buffer ,(current-buffer)))))
        (should-error (apply (gptel-backend-header backend) arguments)
                      :type 'user-error)
        (should (equal (buffer-string) "Hi"))))))

(provide 'glm-gptel-auth-gptel-test)
;;; glm-gptel-auth-gptel-test.el ends here
