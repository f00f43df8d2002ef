;;; glm-gptel-auth-test.el --- Tests that need no gptel  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; Run by elisp.test.ts, in an environment with a real keychain that holds a
;; key for open.bigmodel.cn and none for api.z.ai.

;;; Code:

(require 'ert)
(require 'cl-lib)

;; What is in the test's own process before the package is loaded, just after,
;; and when two seconds have passed.
(defun glm-test--surroundings ()
  "Return all hooks, timers and processes there are."
  (let (hooks)
    (mapatoms (lambda (symbol)
                (when (and (boundp symbol)
                           (string-match-p "-\\(?:hooks?\\|functions\\)\\'"
                                           (symbol-name symbol)))
                  (push (cons symbol (copy-tree (default-value symbol))) hooks))))
    (list (sort hooks (lambda (a b) (string< (car a) (car b))))
          (copy-sequence timer-list) (copy-sequence timer-idle-list)
          (process-list))))

(defvar glm-test--before-load (glm-test--surroundings))
(require 'glm-gptel-auth)
(defvar glm-test--after-load (glm-test--surroundings))
(defvar glm-test--loaded
  (cl-remove-if-not #'featurep '(jsonrpc gptel json auth-source
                                 glm-gptel-auth-zh glm-gptel-auth-source
                                 glm-gptel-auth-setup glm-gptel-auth-install)))
(let ((noninteractive nil)) (sleep-for 2.1))
(defvar glm-test--two-seconds-later (glm-test--surroundings))

(require 'glm-gptel-auth-install)
(require 'glm-gptel-auth-zh)
(defvar gptel-backend)
(defvar native-comp-enable-subr-trampolines)

;; A machine that runs tests is busy; limits are tested with limits of their own.
(setq glm-gptel-auth--seconds 30)

(defconst glm-test--node (getenv "GLM_TEST_NODE"))
(defconst glm-test--script (getenv "GLM_TEST_SCRIPT"))
(defconst glm-test--fake
  (expand-file-name "../support/fake-glm-token.sh"
                    (file-name-directory (or load-file-name buffer-file-name))))
(defconst glm-test--token-regexp
  "\\`eyJ[-A-Za-z0-9_]+\\.[-A-Za-z0-9_]+\\.[-A-Za-z0-9_]+\\'")

(defmacro glm-test--with (plain &rest body)
  "Evaluate BODY with PLAIN for how tokens come, and end the helper after it."
  (declare (indent 1) (debug t))
  `(let ((glm-gptel-auth-plain ,plain)
         (glm-gptel-auth-command (list glm-test--node glm-test--script)))
     (unwind-protect (progn ,@body)
       (glm-gptel-auth--stop-helper))))

(defmacro glm-test--with-each (&rest body)
  "Evaluate BODY with each way in which tokens come."
  (declare (indent 0) (debug t))
  `(dolist (plain '(t nil))
     (glm-test--with plain ,@body)))

(defmacro glm-test--with-globals (bindings &rest body)
  "Evaluate BODY with BINDINGS, those of a `let', as global values too.
Emacs' own environment and path count, not those of a buffer."
  (declare (indent 1) (debug t))
  (let ((names (mapcar #'car bindings)))
    `(let* ((before (mapcar #'default-toplevel-value ',names))
            ,@bindings)
       (unwind-protect
           (progn
             (dolist (name ',names)
               (set-default-toplevel-value name (symbol-value name)))
             ,@body)
         (cl-mapc #'set-default-toplevel-value ',names before)))))

(defmacro glm-test--with-environment (variables &rest body)
  "Evaluate BODY with VARIABLES, a list of strings, in the environment."
  (declare (indent 1) (debug t))
  `(glm-test--with-globals ((process-environment
                             (append ,variables process-environment)))
     ,@body))

(defun glm-test--contents (file)
  "Return the contents of FILE."
  (with-temp-buffer (insert-file-contents file) (buffer-string)))

(defun glm-test--store-key (key &rest arguments)
  "Have the program itself store KEY, with ARGUMENTS."
  (with-temp-buffer
    (insert key)
    (should (eql 0 (apply #'call-process-region nil nil glm-test--node t t nil
                          glm-test--script "store" arguments)))))

(defun glm-test--claims (token)
  "Return the claims of TOKEN, a plist."
  (glm-gptel-auth--parse-json
   (base64-decode-string (nth 1 (split-string token "\\.")) t)))

(defun glm-test--signer (token)
  "Return the id of the API key that signed TOKEN."
  (plist-get (glm-test--claims token) :api_key))

(defmacro glm-test--with-fake (mode plain &rest body)
  "Evaluate BODY with PLAIN and a fake glm-token that does MODE.
`log' is the file in which it notes its starts."
  (declare (indent 2) (debug t))
  `(let ((log (make-temp-file "glm-fake")))
     (glm-test--with-environment (list (concat "GLM_FAKE_LOG=" log))
       (let ((glm-gptel-auth-plain ,plain)
             (glm-gptel-auth-command (list glm-test--fake ,mode)))
         (unwind-protect (progn ,@body)
           (glm-gptel-auth--stop-helper)
           (delete-file log))))))

(defun glm-test--said ()
  "Return the last message that begins with \"GLM\"."
  (with-current-buffer "*Messages*"
    (goto-char (point-max))
    (re-search-backward "^GLM.*")
    (match-string 0)))

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

(ert-deftest glm-test-loading-starts-nothing-and-changes-no-hook ()
  "Neither then nor two seconds later."
  (should-not glm-test--loaded)
  (should (equal glm-test--before-load glm-test--after-load))
  (should (equal glm-test--before-load glm-test--two-seconds-later)))

(ert-deftest glm-test-commands-are-there-once-the-main-file-is-loaded ()
  (dolist (command '(install setup store delete status doctor unlock restart lock
                           source-enable source-disable))
    (should (commandp (intern (format "glm-gptel-auth-%s" command))))))

(ert-deftest glm-test-finds-the-program-beside-this-file ()
  (let ((glm-gptel-auth-command nil))
    (should (equal (glm-gptel-auth--program)
                   (list (executable-find "node")
                         (expand-file-name
                          "../dist/cli.cjs" glm-gptel-auth--directory))))))

(defmacro glm-test--with-directory (&rest body)
  "Evaluate BODY with an empty directory, `directory', on `exec-path' alone.
Its name has a space and Chinese characters.  No glm-token is beside the
package."
  (declare (indent 0) (debug t))
  `(let* ((root (make-temp-file "glm-bin" t))
          (directory (file-name-as-directory (expand-file-name "我的 程序" root)))
          (glm-gptel-auth--directory "/nowhere/")
          (glm-gptel-auth-command nil))
     (make-directory directory)
     (unwind-protect
         (glm-test--with-globals ((exec-path (list directory))) ,@body)
       (glm-gptel-auth--stop-helper)
       (delete-directory root t))))

(defun glm-test--write-program (name &rest lines)
  "Write the executable file NAME of LINES in `exec-path', and return its name."
  (let ((file (expand-file-name name (car exec-path)))
        (coding-system-for-write 'utf-8-unix))
    (make-directory (file-name-directory file) t)
    (with-temp-file file (insert (string-join lines "\n") "\n"))
    (set-file-modes file #o755)
    file))

(defun glm-test--write-node (name version)
  "Write a node NAME of VERSION in `exec-path', and return its name."
  (glm-test--write-program name "#!/bin/sh" (format "echo v%s" version)))

(ert-deftest glm-test-what-npm-installs-is-handed-to-node ()
  "A link to the script, whose first line names node."
  (glm-test--with-directory
    (let ((node (glm-test--write-node "node" "22.1.0"))
          (script (glm-test--write-program "lib/glm-token/main"
                                           "#!/usr/bin/env node")))
      (make-symbolic-link script (expand-file-name "glm-token" directory))
      (should (equal (glm-gptel-auth--program) (list node script)))
      (delete-file node)
      (should (string-match-p "cannot find node, which runs glm-token"
                              (glm-test--message #'glm-gptel-auth-token))))))

(defconst glm-test--shims
  `(("pnpm" "#!/bin/sh" "exec %s %s \"$@\"")
    ("asdf, with bash" "#!/usr/bin/env bash" "exec %s %s \"$@\"")
    ;; One program for all commands, which goes by the name it is called by.
    ("Volta, mise" "#!/bin/sh"
     "[ \"${0##*/}\" = glm-token ] && exec %s %s \"$@\""))
  "Shims of package managers: who makes them, and their lines.
In these, node and the script stand for %s.")

(ert-deftest glm-test-a-shim-is-run-as-it-is ()
  "And tokens come, one by one and from a helper."
  (pcase-dolist (`(,maker ,first ,second) glm-test--shims)
    (ert-info (maker :prefix "Shim of ")
      (glm-test--with-directory
        (let ((target (glm-test--write-program
                       "libexec/shim" first
                       (format second (shell-quote-argument glm-test--node)
                               (shell-quote-argument glm-test--script))))
              (shim (expand-file-name "glm-token" directory)))
          (make-symbolic-link target shim)
          (should (equal (glm-gptel-auth--program) (list shim)))
          (dolist (glm-gptel-auth-plain '(t nil))
            (glm-test--should-be-token (glm-gptel-auth-token))))))))

(defmacro glm-test--on-windows (&rest body)
  "Evaluate BODY with what Emacs on Windows takes for a program.
`file-truename' calls a function there that no other Emacs has."
  (declare (indent 0) (debug t))
  `(let ((exec-suffixes '(".exe" ".com" ".bat" ".cmd" ".btm" "")))
     (cl-letf (((symbol-function 'w32-long-file-name) #'identity)
               (system-type 'windows-nt))
       ,@body)))

(ert-deftest glm-test-windows-names ()
  "Of npm's .cmd file the script is run, with node.exe; others as they are."
  (glm-test--with-directory
    (let ((node (glm-test--write-node "node.exe" "22.1.0"))
          (shim (glm-test--write-program "glm-token.cmd" "@ECHO off")))
      ;; npm makes it for other shells.
      (glm-test--write-program "glm-token" "#!/bin/sh")
      (glm-test--on-windows
        (should (equal (glm-gptel-auth--program) (list shim))))
      (let ((script (glm-test--write-program
                     "node_modules/glm-token/dist/cli.cjs")))
        (glm-test--on-windows
          (should (equal (glm-gptel-auth--program) (list node script))))))))

(ert-deftest glm-test-windows-shims-are-run-as-they-are ()
  "Those of Volta and Scoop, which find node and the script by themselves."
  (dolist (name '("glm-token.exe" "glm-token.cmd" "glm-token.bat"))
    (glm-test--with-directory
      (let ((shim (glm-test--write-program name "@ECHO off")))
        (glm-test--write-program "node.exe")
        (glm-test--on-windows
          (should (equal (glm-gptel-auth--program) (list shim))))))))

(ert-deftest glm-test-which-program-is-found-first ()
  "That beside the package, that of `glm-gptel-auth-install', that on the path."
  (glm-test--with-directory
    (let* ((user-emacs-directory (expand-file-name "emacs 目录/" root))
           (node (glm-test--write-node "node" "22.1.0"))
           (on-path (glm-test--write-program "glm-token" "#!/usr/bin/env node"))
           (glm-gptel-auth--directory (expand-file-name "package/elisp/" root))
           (beside (expand-file-name "package/dist/cli.cjs" root))
           (installed (glm-gptel-auth--installed-script)))
      (should (equal (glm-gptel-auth--program) (list node on-path)))
      (dolist (script (list installed beside))
        (glm-test--write-program script)
        (should (equal (glm-gptel-auth--program) (list node script)))))))

(ert-deftest glm-test-install-refuses-what-may-be-anybodys ()
  "A glm-token on npm's registry, before ours is there; nothing is asked."
  (should (string-match-p
           "\\`GLM: glm-token is not on npm's registry yet; run `npm install -g \\.'"
           (glm-test--message #'glm-gptel-auth-install)))
  (should-not (get-process "glm-token install")))

(ert-deftest glm-test-install-without-npm ()
  (glm-test--with-directory
    (should (equal "GLM: cannot find npm, which comes with Node; \
install Node, from your system's packages or nodejs.org"
                   (glm-test--message #'glm-gptel-auth-install "x.tgz")))))

(ert-deftest glm-test-paths-with-spaces-and-chinese ()
  (glm-test--with-directory
    (let ((node (expand-file-name "node" directory))
          (script (expand-file-name "cli.cjs" directory)))
      (make-symbolic-link glm-test--node node)
      (make-symbolic-link glm-test--script script)
      (setq glm-gptel-auth-command (list node script))
      (dolist (glm-gptel-auth-plain '(t nil))
        (glm-test--should-be-token (glm-gptel-auth-token))))))

(ert-deftest glm-test-a-missing-script-has-a-cure-that-works ()
  "In place of what node says of it."
  (let ((glm-gptel-auth-command (list glm-test--node "/nowhere/cli.cjs"))
        (said "cannot find /nowhere/cli.cjs; check `glm-gptel-auth-command', \
or set it to nil to have glm-token searched for"))
    (dolist (glm-gptel-auth-plain '(t nil))
      (should (equal (concat "GLM: " said)
                     (glm-test--message #'glm-gptel-auth-token))))))


(ert-deftest glm-test-home-directory-in-the-command ()
  (let* ((script (make-temp-file (expand-file-name "~/glm-test") nil ".cjs"))
         (glm-gptel-auth-command (list "node" (abbreviate-file-name script))))
    (unwind-protect
        (should (equal (glm-gptel-auth--program) (list "node" script)))
      (delete-file script))))

(ert-deftest glm-test-node-options-do-not-reach-glm-token ()
  "They could open a debugger; here they would keep node from starting."
  (glm-test--with-environment '("NODE_OPTIONS=--require /nowhere/x.cjs")
    (glm-test--with-each
      (glm-test--should-be-token (glm-gptel-auth-token)))))

(ert-deftest glm-test-says-how-to-install-what-is-missing ()
  (glm-test--with-directory
    (should (equal (glm-test--message #'glm-gptel-auth-token)
                   "GLM: cannot find the program glm-token; run `npm install \
-g .' in a checkout of it, or `npm pack' there, and then \
C-u M-x glm-gptel-auth-install here"))
    (let ((glm-gptel-auth--published t))
      (should (equal (glm-test--message #'glm-gptel-auth-token)
                     "GLM: cannot find the program glm-token; \
run M-x glm-gptel-auth-install"))))
  (dolist (glm-gptel-auth-plain '(t nil))
    (let ((glm-gptel-auth-command "/nowhere/glm-token"))
      (should (string-match-p "cannot find /nowhere/glm-token"
                              (glm-test--message #'glm-gptel-auth-token))))))

(ert-deftest glm-test-the-node-beside-the-script-runs-it ()
  "Not an older one that is first on `exec-path'."
  (glm-test--with-directory
    (let* ((old (glm-test--write-node "node" "12.0.0"))
           (exec-path (list (expand-file-name "new/bin" root)))
           (node (glm-test--write-node "node" "22.1.0"))
           (script (glm-test--write-program "../lib/cli.cjs")))
      (make-symbolic-link script (expand-file-name "glm-token" (car exec-path)))
      (glm-test--with-globals ((exec-path (cons (file-name-directory old)
                                                exec-path)))
        (should (equal (glm-gptel-auth--program)
                       (list node (file-truename script))))))))

(ert-deftest glm-test-the-first-node-that-is-new-enough-runs-it ()
  "Else the script and the first node are named."
  (glm-test--with-directory
    (let* ((user-emacs-directory root)
           (script (glm-gptel-auth--installed-script))
           (old (glm-test--write-node "node" "12.0.0"))
           (exec-path (list (expand-file-name "new" root)))
           (new (glm-test--write-node "node" "20.19.1")))
      (make-directory (file-name-directory script) t)
      (with-temp-file script)
      (glm-test--with-globals ((exec-path (list (file-name-directory old)
                                                (file-name-directory new))))
        (should (equal (glm-gptel-auth--program) (list new script)))
        (delete-file new)
        (should (equal (format "GLM: %s needs Node 20.19 or later, and %s is \
version 12.0.0; set `glm-gptel-auth-command' as glm-token setup prints it"
                               script old)
                       (glm-test--message #'glm-gptel-auth-token)))))))

(ert-deftest glm-test-the-environment-is-that-of-emacs-not-of-a-buffer ()
  "As direnv and envrc set it; one helper serves all buffers."
  (glm-test--with nil
    (glm-gptel-auth-token)
    (let ((helper glm-gptel-auth--helper))
      (with-temp-buffer
        (setq-local process-environment
                    (append '("GLM_TOKEN_SOCKET=/nowhere/socket"
                              "GLM_API_KEY=project.projectsecret")
                            process-environment)
                    exec-path '("/nowhere"))
        (should (equal "id" (glm-test--signer (glm-gptel-auth-token))))
        (should (eq helper glm-gptel-auth--helper))
        ;; A helper that is started from here is not of this project either.
        (glm-gptel-auth--stop-helper)
        (should (equal "id" (glm-test--signer (glm-gptel-auth-token))))))))

(ert-deftest glm-test-a-socket-of-somebody-else-is-refused ()
  "They would be sent passphrases and keys."
  (let* ((directory (make-temp-file "glm" t))
         (socket (expand-file-name "socket" directory))
         (server (make-network-process :name "stranger" :server t :noquery t
                                       :family 'local :service socket)))
    (unwind-protect
        (cl-letf ((native-comp-enable-subr-trampolines nil)
                  ((symbol-function 'user-uid) (lambda () 4711)))
          ;; As root, it is the owner that is another one.
          (when (eql 0 (file-attribute-user-id (file-attributes socket)))
            (should (eql 0 (call-process "chown" nil nil nil "4712" socket))))
          (let ((glm-gptel-auth-socket socket))
            (should (string-prefix-p
                     (format "GLM: the socket %s belongs to another user and \
is not trusted; " socket)
                     (glm-test--message #'glm-gptel-auth-token)))))
      (delete-process server)
      (delete-directory directory t))))

;;;; Tokens

(ert-deftest glm-test-token ()
  (glm-test--with-each
    (let ((first (glm-gptel-auth-token)))
      (glm-test--should-be-token first)
      (sleep-for 0.01)
      (should-not (equal first (glm-gptel-auth-token)))
      (should-not (multibyte-string-p first)))))

(ert-deftest glm-test-a-token-lives-as-long-as-was-asked-for ()
  "For packages that copy a token once."
  (glm-test--with-each
    (pcase-dolist (`(,lifetime . ,seconds) '((nil . 180) ("2h" . 7200)))
      (let ((claims (glm-test--claims (glm-gptel-auth-token nil nil lifetime))))
        (should (equal (* 1000 seconds) (- (plist-get claims :exp)
                                           (plist-get claims :timestamp))))))
    (should (string-match-p "GLM: .*soon.* duration"
                            (glm-test--message #'glm-gptel-auth-token
                                               nil nil "soon")))))

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
run M-x glm-gptel-auth-store"))
    (let ((glm-gptel-auth-profile "工作"))
      (should (equal (glm-test--message #'glm-gptel-auth-header)
                     "GLM: no key is stored for open.bigmodel.cn (profile 工作); \
run M-x glm-gptel-auth-store")))))

(ert-deftest glm-test-works-from-any-directory ()
  (glm-test--with-each
    (dolist (default-directory '("/ssh:nobody@nowhere.invalid:/home/nobody/"
                                 "/directory/that/is/gone/"))
      (glm-gptel-auth--stop-helper)
      (glm-test--should-be-token (glm-gptel-auth-token)))))

(ert-deftest glm-test-no-buffer-holds-a-token ()
  (glm-test--with-each
    (let ((token (glm-gptel-auth-token)))
      (should-not (glm-test--buffers-with (regexp-quote token)))
      (should-not (glm-test--buffers-with "eyJhbGci")))))

;;;; The helper in trouble

(ert-deftest glm-test-helper-is-kept ()
  (glm-test--with nil
    (glm-gptel-auth-token)
    (let ((helper glm-gptel-auth--helper))
      (dotimes (_ 50) (glm-gptel-auth-token))
      (should (eq helper glm-gptel-auth--helper))
      (should-not (process-query-on-exit-flag helper))
      (should (equal 1 (length (cl-remove-if-not
                                (lambda (process)
                                  (process-command process))
                                (process-list))))))))

(ert-deftest glm-test-helper-killed-is-replaced ()
  (glm-test--with nil
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
  "Emacs refuses to write to a process that it knows to be stopped."
  (glm-test--with nil
    (glm-gptel-auth-token)
    (let* ((helper glm-gptel-auth--helper)
           (pid (process-id helper)))
      (signal-process pid 'SIGSTOP)
      (with-timeout (5 (ert-fail "The helper does not stop"))
        (while (not (eq 'stop (process-status helper)))
          (accept-process-output nil 0.01)))
      (glm-test--should-be-token (glm-gptel-auth-token))
      (should-not (equal pid (process-id glm-gptel-auth--helper)))
      (with-timeout (2 (ert-fail "The stopped helper lives on"))
        (while (process-attributes pid) (accept-process-output nil 0.05))))))

(ert-deftest glm-test-what-a-helper-said-before-it-ended-is-told ()
  "In one line where there is one sentence."
  (glm-test--with nil
    (let ((glm-gptel-auth-lock-after "soon"))
      (should (string-match-p "\\`GLM: the helper ended with status 2 \
(glm-token: .*soon.* duration.*); run M-x glm-gptel-auth-doctor\\'"
                              (glm-test--message #'glm-gptel-auth-restart)))))
  (let* ((script (make-temp-file "glm" nil ".cjs" "throw new Error('Oh no');"))
         (glm-gptel-auth-command (list glm-test--node script)))
    (unwind-protect
        (should (equal "GLM: the helper ended with status 1 \
\(Error: Oh no); run M-x glm-gptel-auth-doctor"
                       (glm-test--message #'glm-gptel-auth-restart)))
      (delete-file script)))
  (glm-test--with-fake "other-protocol" nil
    (should (string-match-p "the helper ended with status [0-9]+ (other)"
                            (glm-test--message #'glm-gptel-auth-token)))))

(ert-deftest glm-test-what-may-have-been-done-is-not-repeated ()
  (dolist (method '(store delete))
    (glm-test--with-fake "dies" nil
      (should-error (glm-gptel-auth--request method)
                    :type 'glm-gptel-auth-error)
      (should (equal "daemon\n" (glm-test--contents log))))))

(ert-deftest glm-test-a-program-that-cannot-run-leaves-nothing ()
  "Emacs 30 signals it; in Emacs 28, a process ends with status 127."
  (let* ((program (make-temp-file "glm-test"))
         (glm-gptel-auth-command program)
         (processes (process-list))
         (buffers (buffer-list)))
    (with-temp-file program (insert "#!/no/such/interpreter\n"))
    (set-file-modes program #o700)
    (unwind-protect
        ;; Writing to a helper that is gone can end a batch Emacs by SIGPIPE.
        (dolist (glm-gptel-auth-plain
                 (if (< emacs-major-version 30) '(t) '(nil t)))
          (should (string-match-p
                   "\\`GLM: .*glm-token.*; run M-x glm-gptel-auth-doctor\\'"
                   (glm-test--message #'glm-gptel-auth-token)))
          (glm-gptel-auth--stop-helper)
          (should (equal (process-list) processes))
          (should-not (cl-set-difference
                       (cl-remove-if (lambda (buffer)
                                       (string-match-p "code-conv"
                                                       (buffer-name buffer)))
                                     (buffer-list))
                       buffers)))
      (delete-file program))))

(ert-deftest glm-test-what-is-no-token-is-not-sent ()
  (glm-test--with-fake "no-token" nil
    (should (string-match-p "gave no token"
                            (glm-test--message #'glm-gptel-auth-token)))))

(ert-deftest glm-test-plain-reports-what-is-wrong ()
  (glm-test--with-fake "print-warns" t
    (should (equal "GLM: locked; open it"
                   (glm-test--message #'glm-gptel-auth-token)))
    (should-not glm-gptel-auth--helper))
  (dolist (mode '("print-crashes" "print-no-token"))
    (glm-test--with-fake mode t
      (should (string-match-p "\\`GLM: glm-token ended with status \
[[:alnum:]: ]+; run M-x glm-gptel-auth-doctor\\'"
                              (glm-test--message #'glm-gptel-auth-token))))))

(ert-deftest glm-test-plain-keeps-no-process-and-never-asks ()
  (glm-test--with-key-file nil
    (let ((glm-gptel-auth-plain t))
      (should (string-match-p "; run M-x glm-gptel-auth-unlock\\|PASSPHRASE_FILE"
                              (glm-test--message #'glm-gptel-auth-token)))
      (should-not glm-test--asked)
      (glm-test--with-environment
          (list (concat "GLM_TOKEN_PASSPHRASE_FILE=" passphrase))
        (glm-test--should-be-token (glm-gptel-auth-token)))
      (should-not (process-list)))))

(ert-deftest glm-test-helper-is-told-of-a-chinese-emacs ()
  (glm-test--with-environment '("LC_ALL=C.UTF-8")
    (glm-test--with-fake "records" nil
      (let ((glm-gptel-auth--seconds 0.2))
        (pcase-dolist (`(,language . ,told) '(("English" . "en")
                                              ("Chinese-GB" . "zh")))
          (let ((current-language-environment language))
            (write-region "" nil log nil 'quiet)
            (should-error (glm-gptel-auth--request 'status))
            (should (string-search (format "\"locale\":\"%s\"" told)
                                   (glm-test--contents log)))))))))

(ert-deftest glm-test-language ()
  "GLM_TOKEN_LANG, else the language environment or the locale."
  (pcase-dolist (`(,chosen ,environment ,locale ,language)
                 '((nil "English" "C.UTF-8" "en")
                   (nil "UTF-8" "zh_CN.UTF-8" "zh")
                   (nil "Chinese-GB18030" "en_US.UTF-8" "zh")
                   ("en" "Chinese-GB" "zh_CN.UTF-8" "en")
                   ("zh" "English" "en_US.UTF-8" "zh")
                   ("zh_CN" "English" "en_US.UTF-8" "zh")
                   ("ZH" "English" "en_US.UTF-8" "zh")
                   ("fr" "UTF-8" "zh_CN.UTF-8" "en")
                   ("" "German" "de_DE.UTF-8" "en")))
    (let ((current-language-environment environment))
      (glm-test--with-environment
          (list (concat "LANG=" locale) "LC_MESSAGES" "LC_ALL="
                (if chosen (concat "GLM_TOKEN_LANG=" chosen) "GLM_TOKEN_LANG"))
        (ert-info ((format "%s %s %s" chosen environment locale))
          (should (equal language (glm-gptel-auth--language))))))))

;;;; Texts

(defun glm-test--conversions (text)
  "Return what TEXT, a format, does with its arguments, a sorted list.
Each is the number of an argument and the letter of its conversion."
  (let ((position 0) (start 0) found)
    (while (string-match "%\\(?:\\([0-9]\\)\\$\\)?[.0-9]*\\([sd]\\)" text start)
      (setq start (match-end 0)
            position (1+ position))
      (push (format "%s%s" (or (match-string 1 text) position)
                    (match-string 2 text))
            found))
    (sort found #'string<)))

(defun glm-test--names-in (text)
  "Return the names of commands, options and variables in TEXT."
  (let ((start 0) found)
    (while (string-match "glm-gptel-auth-[a-z-]+\\|GLM_[A-Z_]+" text start)
      (push (match-string 0 text) found)
      (setq start (match-end 0)))
    (sort found #'string<)))

(defun glm-test--texts-in (form)
  "Return the strings that FORM has translated."
  (let (found)
    (while (consp form)
      (when (and (memq (car form) '(glm-gptel-auth--text glm-gptel-auth--say))
                 (stringp (car-safe (cdr form))))
        (push (cadr form) found))
      (setq found (append (glm-test--texts-in (car form)) found)
            form (cdr form)))
    found))

(defun glm-test--sources ()
  "Return the forms of all files of the package but that of the texts."
  (cl-loop for file in (directory-files (file-name-directory
                                         (locate-library "glm-gptel-auth.el"))
                                        t "\\.el\\'")
           unless (string-suffix-p "-zh.el" file)
           append (car (read-from-string
                        (format "(%s\n)" (glm-test--contents file))))))

(ert-deftest glm-test-texts-are-in-both-languages ()
  "With the same arguments, and the same names of commands and variables."
  (let ((used (glm-test--texts-in (glm-test--sources))))
    (should (> (length used) 60))
    (dolist (english used)
      (ert-info (english)
        (should (assoc english glm-gptel-auth--zh))))
    (pcase-dolist (`(,english . ,chinese) glm-gptel-auth--zh)
      (ert-info (english)
        (should (or (member english used)
                    ;; The levels of findings.
                    (member english '("ok" "warning" "failure" "unchecked"))))
        (should (eql 1 (cl-count english glm-gptel-auth--zh
                                 :key #'car :test #'equal)))
        (should (string-match-p "\\cC\\|[：；。，（]" chinese))
        (should-not (string-match-p "\\cC" english))
        (should (equal (glm-test--conversions english)
                       (glm-test--conversions chinese)))
        (should (equal (glm-test--names-in english)
                       (glm-test--names-in chinese)))))))

(ert-deftest glm-test-no-name-is-defined-twice ()
  "All files share one name space."
  (let (names)
    (dolist (form (glm-test--sources))
      (when (and (string-match-p "\\`\\(?:cl-\\)?def"
                                 (format "%s" (car-safe form)))
                 (cddr form))
        (should-not (member (cadr form) names))
        (push (cadr form) names)))
    (should (> (length names) 100))))

(defmacro glm-test--in-chinese (&rest body)
  "Evaluate BODY with Chinese as the language."
  (declare (indent 0) (debug t))
  `(glm-test--with-environment '("GLM_TOKEN_LANG=zh") ,@body))

(defun glm-test--should-be-columns (width)
  "Check that texts in this buffer begin in column WIDTH of the screen.
Return the names before them."
  (save-excursion
    (goto-char (point-min))
    (cl-loop while (re-search-forward "^[^ \n]\\(?:[^\n]*?[^ \n]\\)?  +" nil t)
             do (should (equal width (current-column)))
             collect (string-trim (match-string 0)))))

(ert-deftest glm-test-status-in-chinese ()
  "The program's texts and Emacs' own are in one language, and in columns."
  (glm-test--in-chinese
    (glm-test--with nil
      (glm-gptel-auth-token)
      (glm-gptel-auth-status)
      (with-current-buffer "*glm-token status*"
        (should (equal (glm-test--should-be-columns 12)
                       '("令牌" "后台进程" "存储位置" "账户" "程序" "版本")))
        (dolist (part '("^GLM 令牌状态" "签发令牌 1 个$"
                        "^存储位置 +系统钥匙串（Secret Service）$"))
          (should (string-match-p part (buffer-string)))))
      (should (string-match-p
               "\\`GLM：没有保存 api.z.ai（profile 工作） ?的 key；\
请运行 M-x glm-gptel-auth-store\\'"
               (glm-test--message #'glm-gptel-auth-token "api.z.ai" "工作"))))))

(ert-deftest glm-test-questions-in-chinese ()
  "A key that is stored, replaced and deleted."
  (glm-test--in-chinese
    (glm-test--with nil
      (let ((typed '("zai.secret" "zai2.secret")) prompts)
        (cl-letf (((symbol-function 'read-passwd)
                   (lambda (prompt &rest _)
                     (push prompt prompts)
                     (copy-sequence (pop typed))))
                  ((symbol-function 'y-or-n-p)
                   (lambda (prompt) (push prompt prompts) t)))
          (glm-gptel-auth-store "api.z.ai" "default")
          (should (equal "GLM：已把 api.z.ai 的 key 保存到系统钥匙串（Secret Service）"
                         (glm-test--said)))
          (glm-gptel-auth-store "api.z.ai" "default")
          (glm-gptel-auth-delete "api.z.ai" "default"))
        (should (equal "GLM：已删除 api.z.ai 的 key" (glm-test--said)))
        (should (equal (nreverse prompts)
                       '("api.z.ai 的 API key（ID.SECRET）："
                         "api.z.ai 的 API key（ID.SECRET）："
                         "api.z.ai 已有另一个 key（za…），是否替换？"
                         "是否删除 api.z.ai 的 key？")))))))

(ert-deftest glm-test-two-thousand-tokens-with-one-helper ()
  "Descriptors, processes and buffers stay as they are, memory small."
  (glm-test--with nil
    (dotimes (_ 100) (glm-gptel-auth-token))
    (let* ((pid (process-id glm-gptel-auth--helper))
           (descriptors (lambda ()
                          (length (directory-files
                                   (format "/proc/%d/fd" pid) nil "[0-9]"))))
           (before (list (funcall descriptors) (length (process-list))
                         (length (buffer-list)))))
      (dotimes (_ 2000) (glm-gptel-auth-token))
      (should (equal pid (process-id glm-gptel-auth--helper)))
      (should (equal before (list (funcall descriptors) (length (process-list))
                                  (length (buffer-list)))))
      (should (< (/ (alist-get 'rss (process-attributes pid)) 1024.0) 150)))))

;;;; Cures

(defmacro glm-test--with-shared-helper (options &rest body)
  "Evaluate BODY with a helper on a socket, started with OPTIONS, a list.
`process' is that helper."
  (declare (indent 1) (debug t))
  `(let* ((glm-gptel-auth-socket
           (expand-file-name "agent.sock" (make-temp-file "glm-socket" t)))
          (process (make-process
                    :name "shared" :noquery t
                    :command (append (list glm-test--node glm-test--script
                                           "daemon" "--socket"
                                           glm-gptel-auth-socket)
                                     ,options))))
     (unwind-protect
         (progn
           (with-timeout (20 (error "No socket"))
             (while (not (file-exists-p glm-gptel-auth-socket))
               (accept-process-output process 0.1)))
           ,@body)
       (glm-gptel-auth--stop-helper)
       (delete-process process)
       (delete-directory (file-name-directory glm-gptel-auth-socket) t))))

(ert-deftest glm-test-a-mistyped-host-is-not-cured-by-storing ()
  (glm-test--with-each
    (should (equal "GLM: no key is stored for open.bigmodl.cn, but there is a \
key for open.bigmodel.cn; check the host"
                   (glm-test--message #'glm-gptel-auth-token
                                      "open.bigmodl.cn")))))

(ert-deftest glm-test-a-read-only-helper-is-not-told-to-store ()
  "What it says is done where it runs."
  (glm-test--with nil
    (glm-test--with-shared-helper nil
      (dolist (function (list (lambda () (glm-gptel-auth-token "api.z.ai"))
                              (lambda ()
                                (glm-test--answering "id.secret"
                                  (glm-gptel-auth-store "api.z.ai")))))
        (let ((message (glm-test--message function)))
          (should (string-match-p "glm-token where the helper runs" message))
          (should-not (string-match-p "M-x" message)))))
    (glm-test--with-shared-helper '("--allow-write")
      (should (equal "GLM: no key is stored for api.z.ai; \
run M-x glm-gptel-auth-store"
                     (glm-test--message #'glm-gptel-auth-token "api.z.ai"))))))

(ert-deftest glm-test-a-keychain-out-of-reach-is-not-replaced-by-a-file ()
  "It may have keys, which the file would hide; so nothing is asked."
  (glm-test--with-environment
      '("DBUS_SESSION_BUS_ADDRESS=unix:path=/nowhere/bus")
    (glm-test--with-each
      (cl-letf (((symbol-function 'read-passwd)
                 (lambda (&rest _) (copy-sequence "id.secret")))
                ((symbol-function 'y-or-n-p)
                 (lambda (prompt) (error "Asked: %s" prompt))))
        (dolist (function (list #'glm-gptel-auth-store #'glm-gptel-auth-token))
          (let ((message (glm-test--message function)))
            (should (string-match-p "the keychain cannot be asked" message))
            (should-not (string-match-p "M-x" message))))))))

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

(ert-deftest glm-test-store-asks-when-the-host-may-be-mistyped ()
  (glm-test--with nil
    (let (answer questions)
      (cl-letf (((symbol-function 'read-passwd)
                 (lambda (&rest _) (copy-sequence "abcd.verysecretsecret")))
                ((symbol-function 'y-or-n-p)
                 (lambda (prompt) (push prompt questions) answer)))
        (glm-gptel-auth-store "open.bigmodl.cn")
        (should (equal '("No key is stored for open.bigmodl.cn, but there is a \
key for open.bigmodel.cn. Go on with open.bigmodl.cn? ")
                       questions))
        (should (equal "GLM: nothing was stored" (glm-test--said)))
        (should (string-match-p "check the host"
                                (glm-test--message #'glm-gptel-auth-token
                                                   "open.bigmodl.cn")))
        (setq answer t)
        (glm-gptel-auth-store "open.bigmodl.cn")
        (should (equal "abcd" (glm-test--signer
                               (glm-gptel-auth-token "open.bigmodl.cn"))))
        ;; Now that there is a key, it is not mistyped.
        (setq questions nil)
        (glm-gptel-auth-store "open.bigmodl.cn")
        (should-not questions)
        (glm-gptel-auth-delete "open.bigmodl.cn")))))

;;;; Commands that print keys

(defmacro glm-test--with-command (lines &rest body)
  "Evaluate BODY with the program `show', a shell script of LINES.
No other command is known."
  (declare (indent 1) (debug t))
  `(let* ((home (make-temp-file "glm-home" t))
          (show (let ((exec-path (list home)))
                  (glm-test--write-program "show" "#!/bin/sh" ,lines))))
     (unwind-protect
         (glm-test--with-environment (list (concat "XDG_CONFIG_HOME=" home))
           (glm-test--with nil ,@body))
       (delete-directory home t))))

(ert-deftest glm-test-command-in-place-of-a-key ()
  "It is stored, used, shown, replaced when the user agrees, and deleted."
  (glm-test--with-command "echo $1.secret"
    (glm-gptel-auth-store "api.z.ai" "default" (list show "one"))
    (should (equal "GLM: the key for api.z.ai comes from show from now on"
                   (glm-test--said)))
    (should (equal "one" (glm-test--signer
                          (glm-gptel-auth-token "api.z.ai" "default"))))
    (should (string-match-p "api.z.ai: show (command)"
                            (cdr (assoc "Accounts"
                                        (glm-gptel-auth--status-rows)))))
    (cl-letf (((symbol-function 'y-or-n-p) #'ignore))
      (glm-gptel-auth-store "api.z.ai" "default" (list show "two")))
    (should (equal "GLM: kept the key for api.z.ai" (glm-test--said)))
    (cl-letf (((symbol-function 'y-or-n-p) #'always))
      (glm-gptel-auth-store "api.z.ai" "default" (list show "two"))
      (should (equal "two" (glm-test--signer
                            (glm-gptel-auth-token "api.z.ai" "default"))))
      (glm-gptel-auth-delete "api.z.ai" "default"))
    (should (string-match-p
             "no key is stored for api.z.ai"
             (glm-test--message #'glm-gptel-auth-token "api.z.ai" "default")))))

(ert-deftest glm-test-command-typed-after-a-prefix-argument ()
  "Its words are read as a shell has them."
  (glm-test--with-command "echo \"$*\" | tr ' ' ."
    (let ((current-prefix-arg '(4)))
      (cl-letf (((symbol-function 'glm-gptel-auth--read-account)
                 (lambda () '("api.z.ai" "work")))
                ((symbol-function 'y-or-n-p) #'always)
                ((symbol-function 'read-shell-command)
                 (lambda (&rest _)
                   (concat (shell-quote-argument show) " 'a b'"))))
        (call-interactively #'glm-gptel-auth-store)))
    (should (equal "a" (glm-test--signer
                        (glm-gptel-auth-token "api.z.ai" "work"))))))

(ert-deftest glm-test-a-key-is-not-taken-for-a-command ()
  "Whether there is a command is asked first; a key is not kept or repeated."
  (glm-test--with-command "exit 1"
    (let ((current-prefix-arg '(4)) (agreed t) history)
      (cl-letf (((symbol-function 'glm-gptel-auth--read-account)
                 (lambda () '("api.z.ai" "work")))
                ((symbol-function 'y-or-n-p) (lambda (_) agreed))
                ((symbol-function 'read-shell-command)
                 (lambda (_prompt _initial kept-in)
                   (setq history kept-in)
                   "0123.MadeUpSecret")))
        (let ((message (glm-test--message #'call-interactively
                                          #'glm-gptel-auth-store)))
          (should (string-match-p "the command contains the key" message))
          (should-not (string-search "MadeUp" message)))
        (should (eq history t))
        (dolist (file (directory-files-recursively home "" nil))
          (should-not (string-search "MadeUp" (glm-test--contents file))))
        (setq agreed nil)
        (should-not (glm-gptel-auth--read-command))))))

(ert-deftest glm-test-command-that-fails-says-so ()
  (glm-test--with-command "echo HUSH; echo HUSH >&2; exit 3"
    (let ((message (glm-test--message #'glm-gptel-auth-store
                                      "api.z.ai" "default" (list show))))
      (should (string-match-p
               "show gave no key for api.z.ai: it ended with status 3" message))
      (should-not (string-match-p "HUSH" message)))))

(ert-deftest glm-test-command-that-waits-can-be-quit-out-of ()
  "Emacs says what it waits for; an answer that comes later is held."
  (glm-test--with-command "[ ! -e \"$1\" ] || sleep 3; echo abcd.secret"
    (let ((slow (expand-file-name "slow" home)))
      (glm-gptel-auth-store "api.z.ai" "default" (list show slow))
      (with-temp-file slow)
      (glm-gptel-auth-restart)
      (run-at-time 2.3 nil (lambda () (setq quit-flag t)))
      (should (eq 'quit (condition-case nil
                            (glm-gptel-auth-token "api.z.ai" "default")
                          (quit 'quit))))
      (should (equal "GLM: waiting for show; answer it if it prompts you \
(C-g to give up)"
                     (glm-test--said)))
      (should (equal "abcd" (glm-test--signer
                             (glm-gptel-auth-token "api.z.ai" "default")))))))

(ert-deftest glm-test-store-refuses-what-is-no-key ()
  (glm-test--with-each
    (glm-test--answering "nodotHUSH"
      (let ((message (glm-test--message #'glm-gptel-auth-store
                                        "api.z.ai" "default")))
        (should (string-match-p "it has no dot" message))
        (should-not (string-match-p "HUSH" message))))))

(ert-deftest glm-test-store-asks-before-it-replaces ()
  "Nothing is asked before the key is typed, or when it is the same key."
  (glm-test--with nil
    (let ((typed "id.secretsecret") (answer nil) (asked nil))
      (cl-letf (((symbol-function 'read-passwd)
                 (lambda (&rest _)
                   (should-not asked)
                   (copy-sequence typed)))
                ((symbol-function 'y-or-n-p)
                 (lambda (prompt) (push prompt asked) answer)))
        (glm-gptel-auth-store)
        (should-not asked)
        (setq typed "other.othersecret")
        (glm-gptel-auth-store)
        (should (string-match-p "\\`A different key (.*) is stored for \
open\\.bigmodel\\.cn; replace it\\? \\'" (car asked)))
        (should (equal "GLM: kept the key for open.bigmodel.cn" (glm-test--said)))
        (should (equal "id" (glm-test--signer (glm-gptel-auth-token))))
        (setq asked nil answer t)
        (glm-gptel-auth-store)
        (should (equal "other" (glm-test--signer (glm-gptel-auth-token))))
        (setq asked nil typed "id.secretsecret")
        (glm-gptel-auth-store)
        (should (equal "id" (glm-test--signer (glm-gptel-auth-token))))))))

;;;; Commands

(ert-deftest glm-test-status ()
  (glm-test--with-each
    (glm-gptel-auth-token)
    (glm-gptel-auth-status)
    (with-current-buffer "*glm-token status*"
      (let ((text (buffer-string)))
        (dolist (part `("Accounts    open\\.bigmodel\\.cn: .* (keychain)"
                        "Helper      process [0-9]+, glm-token 0\\.[0-9.]+, [01] tokens"
                        ,(regexp-quote glm-test--script)
                        ,(if plain "Tokens      from a process for each"
                           "Tokens      from a helper that stays")))
          (should (string-match-p part text)))
        (should-not (string-match-p "secretsecret\\|eyJ" text)))
      (revert-buffer))))

(ert-deftest glm-test-accounts-that-are-locked-are-not-called-broken ()
  (let ((account '(:host "api.z.ai" :profile "work" :store "keychain")))
    (pcase-dolist (`(,said . ,known)
                   '(("id…" :id "id…") ("show" :program "show")
                     ("locked" :locked t) ("not an API key")))
      (should (equal (format "api.z.ai (profile work): %s (keychain)" said)
                     (glm-gptel-auth--describe-accounts
                      (list :accounts (vector (append account known)))))))))

(ert-deftest glm-test-what-was-typed-is-cleared ()
  "Both the string and the record of keys that \\[view-lossage] shows."
  (let (secret)
    (cl-letf (((symbol-function 'read-passwd)
               (lambda (&rest _)
                 (setq unread-command-events (list '(t . ?s) '(t . ?e)))
                 (let ((typed (string (read-event) (read-event))))
                   (should (cl-find ?e (recent-keys)))
                   typed)))
              ((symbol-function 'glm-gptel-auth--store)
               (lambda (params)
                 (setq secret (plist-get params :key))
                 (should (equal "se" secret))
                 (error "No"))))
      (should-error (glm-gptel-auth--read-and-store nil "Key: " nil))
      (should (equal secret (string 0 0)))
      (should (equal [] (recent-keys))))))

(ert-deftest glm-test-restart ()
  (glm-test--with nil
    (glm-gptel-auth-token)
    (let ((pid (process-id glm-gptel-auth--helper)))
      (glm-gptel-auth-restart)
      (should (process-live-p glm-gptel-auth--helper))
      (should-not (equal pid (process-id glm-gptel-auth--helper)))
      (glm-gptel-auth-lock)
      (glm-test--should-be-token (glm-gptel-auth-token)))))

;;;; The encrypted file

(defvar glm-test--asked nil
  "The prompts for a passphrase that were shown, the last one first.")

(defmacro glm-test--with-key-file (answers &rest body)
  "Evaluate BODY with a key in an encrypted file in place of the keychain.
ANSWERS, a list of strings, are typed when the passphrase is asked for.
It is \"correct horse\".  BODY is what a command of the user's does."
  (declare (indent 1) (debug t))
  `(let* ((home (make-temp-file "glm-home" t))
          (passphrase (expand-file-name "passphrase" home))
          (answers ,answers)
          (this-command 'glm-test)
          (glm-test--asked nil))
     (with-temp-file passphrase (insert "correct horse"))
     (cl-letf (((symbol-function 'read-passwd)
                (lambda (prompt &rest _)
                  (push prompt glm-test--asked)
                  (let ((answer (pop answers)))
                    (if (eq answer 'quit) (signal 'quit nil)
                      (copy-sequence answer))))))
       (unwind-protect
           (glm-test--with-environment (list (concat "HOME=" home)
                                             "GLM_TOKEN_STORE=file")
             (glm-test--with nil
               (let ((process-environment
                      (cons (concat "GLM_TOKEN_PASSPHRASE_FILE=" passphrase)
                            process-environment)))
                 (glm-test--store-key "id.secretsecret"))
               ,@body))
         (delete-directory home t)))))

(ert-deftest glm-test-passphrase-is-asked-for-once ()
  (glm-test--with-key-file '("correct horse")
    (dotimes (_ 3) (glm-test--should-be-token (glm-gptel-auth-token)))
    (should (equal glm-test--asked '("Passphrase of the GLM encrypted file: ")))
    (should-not (glm-test--buffers-with "correct horse"))))

(ert-deftest glm-test-lock-forgets-the-passphrase ()
  (glm-test--with-key-file '("correct horse" "correct horse")
    (glm-gptel-auth-token)
    (glm-gptel-auth-lock)
    (should (equal "GLM: helper locked; the system keychain is locked separately"
                   (glm-test--said)))
    (glm-test--should-be-token (glm-gptel-auth-token))
    (should (length= glm-test--asked 2))))

(ert-deftest glm-test-lock-reaches-a-helper-on-a-socket ()
  (glm-test--with-key-file '("correct horse")
    (let ((state (lambda ()
                   (plist-get (glm-gptel-auth--request 'status) :lock))))
      (glm-test--with-shared-helper nil
        (glm-test--should-be-token (glm-gptel-auth-token))
        (should (equal (funcall state) "unlocked"))
        (glm-gptel-auth-restart)
        (should (string-prefix-p "GLM: the helper answers again"
                                 (glm-test--said)))
        (should (equal (funcall state) "unlocked"))
        (glm-gptel-auth-lock)
        (should (equal (funcall state) "locked"))))
    ;; What cannot be told to lock is not said to be locked.
    (let ((glm-gptel-auth-socket (expand-file-name "nobody.sock" home)))
      (should (string-match-p "nothing answers at"
                              (glm-test--message #'glm-gptel-auth-lock))))))

(ert-deftest glm-test-lock-after ()
  (glm-test--with-key-file '("correct horse" "correct horse")
    (let ((glm-gptel-auth-lock-after "1s"))
      (glm-gptel-auth-token)
      (sleep-for 1.2)
      (glm-test--should-be-token (glm-gptel-auth-token))
      (should (length= glm-test--asked 2)))))

(ert-deftest glm-test-wrong-passphrase-is-asked-for-again-three-times ()
  (glm-test--with-key-file '("wrong" "wrong" "correct horse")
    (glm-test--should-be-token (glm-gptel-auth-token))
    (should (equal glm-test--asked
                   '("Wrong passphrase. Passphrase of the GLM encrypted file: "
                     "Wrong passphrase. Passphrase of the GLM encrypted file: "
                     "Passphrase of the GLM encrypted file: "))))
  (glm-test--with-key-file '("wrong" "wrong" "wrong" "correct horse")
    (should (string-match-p
             "\\`GLM: wrong passphrase for the encrypted file (.*); run M-x"
             (glm-test--message #'glm-gptel-auth-token)))
    (should (length= glm-test--asked 3))))

(ert-deftest glm-test-only-a-command-of-the-users-asks ()
  "What a timer, a filter or a sentinel asked for would take what is typed;
two requests at once ask once."
  (glm-test--with-key-file '("correct horse")
    (let ((said "GLM: the encrypted file needs its passphrase; \
run M-x glm-gptel-auth-unlock"))
      ;; Emacs is idle.
      (let ((this-command nil))
        (should (equal said (glm-test--message #'glm-gptel-auth-token))))
      ;; A command waits, and a timer runs.
      (let ((from-timer nil))
        (run-at-time 0 nil (lambda ()
                             (setq from-timer (glm-test--message
                                               #'glm-gptel-auth-token))))
        (while (null from-timer) (accept-process-output nil 0.05))
        (should (equal said from-timer)))
      ;; A daemon without a frame.
      (let ((noninteractive nil))
        (should (equal said (glm-test--message #'glm-gptel-auth-token))))
      (should-not glm-test--asked)
      (glm-gptel-auth-unlock)
      (should (length= glm-test--asked 1))
      (let ((this-command nil))
        (glm-test--should-be-token (glm-gptel-auth-token)))
      (glm-gptel-auth-unlock)
      (should (length= glm-test--asked 1)))))

(ert-deftest glm-test-passphrase-can-be-quit-out-of ()
  (glm-test--with-key-file '(quit "correct horse")
    (should (eq 'quit (condition-case nil (glm-gptel-auth-token) (quit 'quit))))
    (glm-test--should-be-token (glm-gptel-auth-token))))

(ert-deftest glm-test-passphrase-of-a-new-file ()
  "It is asked for when there is none yet, with a confirmation."
  (glm-test--with-key-file nil
    (delete-directory (expand-file-name ".local" home) t)
    (setq answers (list "id2.secret" "battery" "batty"
                        "battery staple" "battery staple"))
    (glm-gptel-auth-store "open.bigmodel.cn" "default")
    (glm-test--should-be-token (glm-gptel-auth-token))
    (should (equal (nreverse glm-test--asked)
                   '("API key (ID.SECRET) for open.bigmodel.cn: "
                     "New passphrase for the GLM encrypted file: "
                     "Repeat passphrase: "
                     "The passphrases do not match. \
New passphrase for the GLM encrypted file: "
                     "Repeat passphrase: ")))))

(defmacro glm-test--without-keychain (&rest body)
  "Evaluate BODY where there is no keychain and no key file yet.
`agreed' is the answer to questions, and `questions' are those asked; of
`answers', one is typed at each prompt for a secret."
  (declare (indent 0) (debug t))
  `(let* ((home (make-temp-file "glm-home" t))
          (this-command 'glm-test)
          (glm-test--asked nil)
          (agreed t) answers questions)
     (cl-letf (((symbol-function 'y-or-n-p)
                (lambda (prompt) (push prompt questions) agreed))
               ((symbol-function 'read-passwd)
                (lambda (prompt &rest _)
                  (push prompt glm-test--asked)
                  (copy-sequence (pop answers)))))
       (unwind-protect
           (glm-test--with-environment
               (list (concat "HOME=" home) "XDG_DATA_HOME" "XDG_RUNTIME_DIR"
                     "DBUS_SESSION_BUS_ADDRESS")
             (glm-test--with nil ,@body))
         (delete-directory home t)))))

(ert-deftest glm-test-store-offers-the-key-file-without-a-keychain ()
  "What was typed before is not asked for again."
  (glm-test--without-keychain
    (setq answers (list "id2.secret" "" "" "battery staple" "battery staple"))
    (glm-gptel-auth-store)
    (should (string-match-p "\\`GLM: stored the key for open.bigmodel.cn in \
the encrypted file " (glm-test--said)))
    (should (length= questions 1))
    (should (string-match-p
             "\\`There is no keychain: .*\\. Keep keys in an encrypted file \
instead\\? \\'" (car questions)))
    (should (equal (nreverse glm-test--asked)
                   '("API key (ID.SECRET) for open.bigmodel.cn: "
                     "New passphrase for the GLM encrypted file: "
                     "Repeat passphrase: "
                     "An empty passphrase protects nothing. \
New passphrase for the GLM encrypted file: "
                     "Repeat passphrase: ")))
    (should (equal "id2" (glm-test--signer (glm-gptel-auth-token))))
    (glm-gptel-auth-lock)
    (setq answers (list "battery staple"))
    (should (equal "id2" (glm-test--signer (glm-gptel-auth-token))))))

(ert-deftest glm-test-store-takes-no-for-an-answer ()
  "Then nothing is written, and the program's own way on is told."
  (glm-test--without-keychain
    (setq answers (list "id2.secret")
          agreed nil)
    (should (string-match-p "\\`GLM: there is no keychain: .*; \
run M-x glm-gptel-auth-store, which offers an encrypted file\\'"
                            (glm-test--message #'glm-gptel-auth-store)))
    (should-not (directory-files-recursively home "keys"))))

(ert-deftest glm-test-without-a-keychain-the-cure-is-a-command-of-emacs ()
  "And the status does not contradict itself."
  (glm-test--without-keychain
    (let ((cure "there is no keychain: .*; \
run M-x glm-gptel-auth-store, which offers an encrypted file$"))
      (should (string-match-p cure (glm-test--message #'glm-gptel-auth-token)))
      (glm-gptel-auth-status)
      (with-current-buffer "*glm-token status*"
        (dolist (part (list "^Store +the keychain (.*), not available now$"
                            (concat "^Accounts +" cure)))
          (should (string-match-p part (buffer-string))))))))

(ert-deftest glm-test-looking-does-not-ask-for-the-passphrase ()
  (glm-test--with-key-file nil
    (glm-gptel-auth-status)
    (with-current-buffer "*glm-token status*"
      (dolist (part '("Store       the encrypted file (.*), locked$"
                      "Accounts    .*; run M-x glm-gptel-auth-unlock$"))
        (should (string-match-p part (buffer-string)))))
    (should-not glm-test--asked)))

(provide 'glm-gptel-auth-test)
;;; glm-gptel-auth-test.el ends here
