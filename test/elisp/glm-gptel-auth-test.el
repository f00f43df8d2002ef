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
(defvar glm-test--autoloaded (documentation 'glm-gptel-auth-store t))
(defvar glm-test--loaded
  (cl-remove-if-not #'featurep '(jsonrpc gptel json auth-source
                                 glm-gptel-auth-messages glm-gptel-auth-program
                                 glm-gptel-auth-process glm-gptel-auth-helper
                                 glm-gptel-auth-request glm-gptel-auth-source
                                 glm-gptel-auth-commands glm-gptel-auth-setup
                                 glm-gptel-auth-install)))
(let ((noninteractive nil)) (sleep-for 2.1))
(defvar glm-test--two-seconds-later (glm-test--surroundings))

(require 'glm-gptel-auth-request)
(require 'glm-gptel-auth-source)
(require 'glm-gptel-auth-setup)
(require 'glm-gptel-auth-install)
(require 'auth-source)
(defvar gptel-backend)
(defvar gptel-log-level)

;; A machine that runs tests is busy; limits are tested with limits of their own.
(setq glm-gptel-auth-timeout 30)

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
         (glm-gptel-auth-command (list glm-test--node glm-test--script))
         (glm-gptel-auth--failed-account nil))
     (unwind-protect (progn ,@body)
       (glm-gptel-auth--stop-helper))))

(defmacro glm-test--with-each (&rest body)
  "Evaluate BODY with each transport."
  (declare (indent 0) (debug t))
  `(dolist (transport '(process helper))
     (glm-test--with transport ,@body)))

(defun glm-test--contents (file)
  "Return the contents of FILE."
  (with-temp-buffer (insert-file-contents file) (buffer-string)))

(defun glm-test--store-key (key &rest arguments)
  "Have the program itself store KEY, with ARGUMENTS."
  (with-temp-buffer
    (insert key)
    (should (eql 0 (apply #'call-process-region nil nil glm-test--node t t nil
                          glm-test--script "store" arguments)))))

(defun glm-test--signer (token)
  "Return the id of the API key that signed TOKEN."
  (plist-get (glm-gptel-auth--parse-json
              (base64-decode-string (nth 1 (split-string token "\\.")) t))
             :api_key))

(defmacro glm-test--with-fake (mode transport &rest body)
  "Evaluate BODY with TRANSPORT and a fake glm-token that does MODE.
`log' is the file in which it notes its starts."
  (declare (indent 2) (debug t))
  `(let* ((log (make-temp-file "glm-fake"))
          (process-environment (cons (concat "GLM_FAKE_LOG=" log)
                                     process-environment))
          (glm-gptel-auth-transport ,transport)
          (glm-gptel-auth-command (list glm-test--fake ,mode)))
     (unwind-protect (progn ,@body)
       (glm-gptel-auth--stop-helper)
       (delete-file log))))

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
  (dolist (command '(install setup store delete status doctor restart lock
                           source-enable source-disable))
    (should (commandp (intern (format "glm-gptel-auth-%s" command))))))

(ert-deftest glm-test-help-knows-commands-before-their-files-are-loaded ()
  (should (equal glm-test--autoloaded
                 "Ask for an API key and store it for HOST and PROFILE, \
strings or nil.\n\n(fn &optional HOST PROFILE COMMAND)"))
  (pcase-dolist (`(,command ,summary . ,arguments)
                 (apply #'append (mapcar #'cdr glm-gptel-auth--commands)))
    (should (commandp command))
    (should (equal summary (car (split-string (documentation command t) "\n"))))
    (should (equal arguments (help-function-arglist command t)))))

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
    (let ((glm-gptel-auth--places '("~/.nvm/versions/node/*/bin")))
      (should (equal (glm-gptel-auth--find-executable "node")
                     (expand-file-name "node" bin))))
    (delete-directory home t)))

(defmacro glm-test--with-directory (&rest body)
  "Evaluate BODY with an empty directory, `directory', on `exec-path' alone.
Its name has a space and Chinese characters.  No glm-token is beside the
package."
  (declare (indent 0) (debug t))
  `(let* ((root (make-temp-file "glm-bin" t))
          (directory (file-name-as-directory (expand-file-name "我的 程序" root)))
          (exec-path (list directory))
          (glm-gptel-auth--directory "/nowhere/")
          (glm-gptel-auth--places nil)
          (glm-gptel-auth-command nil))
     (make-directory directory)
     (unwind-protect (progn ,@body)
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

(ert-deftest glm-test-what-npm-installs-is-handed-to-node ()
  "A link to the script, whose first line names node."
  (glm-test--with-directory
    (let ((node (glm-test--write-program "node" "#!/bin/sh"))
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
          (dolist (glm-gptel-auth-transport '(process helper))
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
    (let ((node (glm-test--write-program "node.exe"))
          (shim (glm-test--write-program "glm-token.cmd" "@ECHO off")))
      ;; npm makes it for other shells.
      (glm-test--write-program "glm-token" "#!/bin/sh")
      (glm-test--on-windows
        (should (equal (glm-gptel-auth--program) (list shim))))
      (let ((script (glm-test--write-program
                     "node_modules/glm-token/dist/cli.cjs")))
        (glm-test--on-windows
          (should (equal (glm-gptel-auth--program) (list node script))))))))

(ert-deftest glm-test-windows-places ()
  "Node and npm are found where Windows has them, without npm's .cmd file."
  (glm-test--with-directory
    (let* ((node (glm-test--write-program "Program Files/nodejs/node.exe"))
           (npm (glm-test--write-program
                 "Program Files/nodejs/node_modules/npm/bin/npm-cli.js"))
           (glm-gptel-auth--places
            (list (directory-file-name (file-name-directory node)))))
      (glm-test--write-program "Program Files/nodejs/npm" "#!/bin/sh")
      (glm-test--write-program "Program Files/nodejs/npm.cmd" "@ECHO off")
      (glm-test--on-windows
        (should (equal (seq-take (glm-gptel-auth--npm "x") 3)
                       (list node npm "install")))))))

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
           (node (glm-test--write-program "node"))
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

(ert-deftest glm-test-doctor-offers-to-update-what-emacs-installed ()
  (glm-test--with-directory
    (let ((user-emacs-directory root)
          (glm-gptel-auth-version "0.0.1"))
      (make-symbolic-link glm-test--node (expand-file-name "node" directory))
      (glm-test--write-program (glm-gptel-auth--installed-script)
                               (format "require(%S)" glm-test--script))
      (should (string-match-p "helper +warning +glm-token is version .*; \
run M-x glm-gptel-auth-install" (glm-test--doctor))))))

(ert-deftest glm-test-paths-with-spaces-and-chinese ()
  (glm-test--with-directory
    (let ((node (expand-file-name "node" directory))
          (script (expand-file-name "cli.cjs" directory)))
      (make-symbolic-link glm-test--node node)
      (make-symbolic-link glm-test--script script)
      (setq glm-gptel-auth-command (list node script))
      (dolist (glm-gptel-auth-transport '(process helper))
        (glm-test--should-be-token (glm-gptel-auth-token))))))

(ert-deftest glm-test-a-missing-script-has-a-cure-that-works ()
  "In place of what node says of it; the doctor does not send to itself."
  (let ((glm-gptel-auth-command (list glm-test--node "/nowhere/cli.cjs"))
        (said "cannot find /nowhere/cli.cjs; check `glm-gptel-auth-command', \
or set it to nil to have glm-token searched for"))
    (dolist (glm-gptel-auth-transport '(process helper))
      (should (equal (concat "GLM: " said)
                     (glm-test--message #'glm-gptel-auth-token))))
    (let ((text (glm-test--doctor)))
      (should (string-match-p (concat "program +failure +" (regexp-quote said))
                              text))
      (should-not (string-match-p "M-x glm-gptel-auth-doctor" text)))))

(ert-deftest glm-test-home-directory-in-the-command ()
  (let* ((script (make-temp-file (expand-file-name "~/glm-test") nil ".cjs"))
         (glm-gptel-auth-command (list "node" (abbreviate-file-name script))))
    (unwind-protect
        (should (equal (glm-gptel-auth--program) (list "node" script)))
      (delete-file script))))

(ert-deftest glm-test-node-options-do-not-reach-glm-token ()
  "They could open a debugger; here they would keep node from starting."
  (let ((process-environment (cons "NODE_OPTIONS=--require /nowhere/x.cjs"
                                   process-environment)))
    (glm-test--with-each
      (glm-test--should-be-token (glm-gptel-auth-token)))))

(ert-deftest glm-test-says-how-to-install-what-is-missing ()
  (let ((glm-gptel-auth-command nil)
        (glm-gptel-auth--directory "/nowhere/")
        (glm-gptel-auth--places nil)
        (exec-path '("/nowhere")))
    (should (equal (glm-test--message #'glm-gptel-auth-token)
                   "GLM: cannot find the program glm-token; \
run M-x glm-gptel-auth-install"))
    (should (string-match-p "program +failure +.*; run M-x glm-gptel-auth-install"
                            (glm-test--doctor)))
    (should (equal (glm-test--message #'glm-gptel-auth-setup)
                   (glm-test--message #'glm-gptel-auth-token))))
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

(ert-deftest glm-test-can-be-quit-out-of-where-quitting-is-inhibited ()
  "As in a timer or a sentinel, where the second request of a tool loop is
made.  There \\[keyboard-quit] in any frame ends the wait."
  (let ((glm-gptel-auth-command '("sh" "-c" "exec sleep 60"))
        (glm-gptel-auth-timeout 30)
        (outcome nil))
    (run-at-time 0 nil
                 (lambda ()
                   (run-at-time 0.2 nil (lambda () (setq quit-flag t)))
                   (setq outcome (condition-case nil (glm-gptel-auth-token)
                                   (quit 'quit)))))
    (with-timeout (20 (ert-fail "The wait does not end"))
      (while (null outcome) (accept-process-output nil 0.05)))
    (should (eq 'quit outcome))
    (glm-gptel-auth--stop-helper)
    (should-not (process-list))))

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

(ert-deftest glm-test-two-requests-at-once-get-their-own-answers ()
  "The second one comes while the first one waits."
  (glm-test--with-fake "two-answers" 'helper
    (let (second)
      (run-at-time 0.1 nil (lambda () (setq second (glm-gptel-auth-token))))
      (should (equal "a.b.first" (glm-gptel-auth-token)))
      (should (equal "a.b.second" second))
      (should (equal "daemon\n" (glm-test--contents log))))))

(ert-deftest glm-test-timers-of-others-that-wait-are-not-cut-short ()
  "The answer comes while a timer waits; it ends, and runs again later."
  (glm-test--with-fake "waiting" 'helper
    (let* ((ended 0)
           (timer (run-at-time 0.3 60 (lambda ()
                                        (sleep-for 1.2)
                                        (cl-incf ended)))))
      (unwind-protect
          (progn (should (equal (glm-gptel-auth-token) "a.b.c"))
                 (should (eql ended 1))
                 (should-not (timer--triggered timer)))
        (cancel-timer timer)))))

(ert-deftest glm-test-helper-stopped-is-replaced ()
  (glm-test--with 'helper
    (glm-gptel-auth-token)
    (let ((glm-gptel-auth-timeout 2) ; For the start of the new one too.
          (pid (process-id glm-gptel-auth--helper)))
      (signal-process pid 'SIGSTOP)
      (glm-test--should-be-token (glm-gptel-auth-token))
      (should-not (equal pid (process-id glm-gptel-auth--helper)))
      (with-timeout (2 (ert-fail "The stopped helper lives on"))
        (while (process-attributes pid) (accept-process-output nil 0.05))))))

(defconst glm-test--bad-helpers '("dies" "silent" "closed" "garbage" "half-frame"
                                  "wrong-id" "other-protocol"))

(ert-deftest glm-test-bad-helper-is-replaced-once ()
  "Then a token comes without, and there is no loop of restarts."
  (dolist (mode glm-test--bad-helpers)
    (ert-info (mode :prefix "Helper: ")
      (glm-test--with-fake mode 'helper
        (let ((glm-gptel-auth-timeout 0.3))
          (glm-test--should-be-token (glm-gptel-auth-token))
          (should (equal "daemon\ndaemon\nprint\n" (glm-test--contents log)))
          (should-not (process-list)))))))

(ert-deftest glm-test-bad-helper-does-nothing-but-tokens ()
  (dolist (mode glm-test--bad-helpers)
    (ert-info (mode :prefix "Helper: ")
      (glm-test--with-fake mode 'helper
        (let* ((glm-gptel-auth-timeout 0.3)
               (failure (should-error (glm-gptel-auth--request 'status)
                                      :type 'glm-gptel-auth-error)))
          (should (equal "ERR_DAEMON" (nth 1 failure)))
          (should (string-suffix-p "; run M-x glm-gptel-auth-doctor"
                                   (glm-gptel-auth--failure-text failure)))
          (should (equal "daemon\ndaemon\n" (glm-test--contents log)))
          (should-not (process-list)))))))

(ert-deftest glm-test-what-may-have-been-done-is-not-repeated ()
  (glm-test--with-fake "silent" 'helper
    (let ((glm-gptel-auth-timeout 0.3))
      (should-error (glm-gptel-auth--request 'delete)
                    :type 'glm-gptel-auth-error)
      (should (equal "daemon\n" (glm-test--contents log))))))

(ert-deftest glm-test-what-a-helper-said-before-it-ended-is-told ()
  (glm-test--with 'helper
    (let ((glm-gptel-auth-lock-after "soon"))
      (should (string-match-p "\\`GLM: the helper ended with status 2 \
(glm-token: \"soon\" is not a duration; hint: .*); \
check `glm-gptel-auth-lock-after'\\'"
                              (glm-test--message #'glm-gptel-auth-restart)))
      (should (string-match-p "helper +failure +the helper ended.*); \
check `glm-gptel-auth-lock-after'$"
                              (glm-test--doctor))))))

(ert-deftest glm-test-what-node-said-before-it-ended-is-told ()
  "In one line where there is one sentence."
  (let* ((script (make-temp-file "glm" nil ".cjs" "throw new Error('Oh no');"))
         (glm-gptel-auth-command (list glm-test--node script)))
    (unwind-protect
        (progn
          (should (equal "GLM: the helper ended with status 1 \
\(Error: Oh no); run M-x glm-gptel-auth-doctor"
                         (glm-test--message #'glm-gptel-auth-restart)))
          (let ((text (glm-test--doctor)))
            (dolist (part '("helper +failure +the helper ended .*Error: Oh no)$"
                            "^rest +unchecked +backends, store, keys, hosts"))
              (should (string-match-p part text)))))
      (delete-file script))))

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
        (dolist (glm-gptel-auth-transport
                 (if (< emacs-major-version 30) '(process) '(helper process)))
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
  (glm-test--with-fake "no-token" 'helper
    (should (string-match-p "gave no token"
                            (glm-test--message #'glm-gptel-auth-token))))
  (glm-test--with-fake "print-no-token" 'process
    (should (string-match-p "gave no token"
                            (glm-test--message #'glm-gptel-auth-token)))))

(ert-deftest glm-test-one-process-a-token-reports-what-is-wrong ()
  (glm-test--with-fake "print-warns" 'process
    (should (equal "GLM: locked; open it"
                   (glm-test--message #'glm-gptel-auth-token))))
  (glm-test--with-fake "print-crashes" 'process
    (should (equal "GLM: glm-token ended with status 139; \
run M-x glm-gptel-auth-doctor"
                   (glm-test--message #'glm-gptel-auth-token)))))

(ert-deftest glm-test-helper-is-told-of-a-chinese-emacs ()
  (glm-test--with-fake "records" 'helper
    (let ((glm-gptel-auth-timeout 0.2)
          (process-environment (cons "LC_ALL=C.UTF-8" process-environment)))
      (pcase-dolist (`(,language . ,told) '(("English" . "en")
                                            ("Chinese-GB" . "zh")))
        (let ((current-language-environment language))
          (write-region "" nil log nil 'quiet)
          (should-error (glm-gptel-auth--request 'status))
          (should (string-search (format "\"locale\":\"%s\"" told)
                                 (glm-test--contents log))))))))

(ert-deftest glm-test-language ()
  "GLM_TOKEN_LANG, else the language environment or the locale."
  (pcase-dolist (`(,chosen ,environment ,locale ,language)
                 '((nil "English" "C.UTF-8" "en")
                   (nil "UTF-8" "zh_CN.UTF-8" "zh")
                   (nil "Chinese-GB18030" "en_US.UTF-8" "zh")
                   ("en" "Chinese-GB" "zh_CN.UTF-8" "en")
                   ("zh" "English" "en_US.UTF-8" "zh")
                   ("fr" "UTF-8" "zh_CN.UTF-8" "zh")
                   ("" "German" "de_DE.UTF-8" "en")))
    (let ((current-language-environment environment)
          (process-environment (append (list (concat "LANG=" locale) "LC_MESSAGES"
                                             "LC_ALL="
                                             (if chosen (concat "GLM_TOKEN_LANG="
                                                                chosen)
                                               "GLM_TOKEN_LANG"))
                                       process-environment)))
      (ert-info ((format "%s %s %s" chosen environment locale))
        (should (equal language (glm-gptel-auth--language)))))))

;;;; Texts

(defun glm-test--conversions (text)
  "Return what TEXT, a format, does with its arguments, a sorted list.
Each is the number of an argument and the letter of its conversion."
  (let ((position 0) (start 0) found)
    (while (string-match "%\\(?:\\([0-9]\\)\\$\\)?[.0-9]*\\([sdfhmz]\\)" text start)
      (setq start (match-end 0)
            position (1+ position))
      (push (format "%s%s" (or (match-string 1 text) position)
                    (match-string 2 text))
            found))
    (sort found #'string<)))

(ert-deftest glm-test-texts-are-in-both-languages ()
  "With the same arguments, and the same names of commands and variables."
  (let ((names nil)
        (words (lambda (text)
                 (let ((start 0) found)
                   (while (string-match "glm-gptel-auth-[a-z-]+\\|GLM_[A-Z_]+"
                                        text start)
                     (push (match-string 0 text) found)
                     (setq start (match-end 0)))
                   (sort found #'string<)))))
    (pcase-dolist (`(,name ,english ,chinese . ,rest) glm-gptel-auth--texts)
      (ert-info ((symbol-name name))
        (should-not rest)
        (should-not (memq name names))
        (push name names)
        (should (stringp english))
        (should (or (string-match-p "\\cC\\|[：；。，（]" chinese)
                    (member english '("Profile" "Key"))))
        (should-not (string-match-p "\\cC" english))
        (should (equal (glm-test--conversions english)
                       (glm-test--conversions chinese)))
        (should (equal (funcall words english) (funcall words chinese)))))))

(defun glm-test--sources ()
  "Return the text of all files of the package but that of the texts."
  (with-temp-buffer
    (dolist (file (directory-files glm-gptel-auth--directory t "\\.el\\'"))
      (unless (string-suffix-p "-messages.el" file)
        (insert-file-contents file)))
    (buffer-string)))

(ert-deftest glm-test-texts-that-are-used-are-there ()
  "And those that are there are used."
  (let ((sources (glm-test--sources)) (start 0))
    (while (string-match "auth--\\(?:text\\|say\\)[ \n]+'\\([a-z-]+\\)" sources start)
      (setq start (match-end 0))
      (should (assq (intern (match-string 1 sources)) glm-gptel-auth--texts)))
    (should (> start 0))
    (pcase-dolist (`(,name . ,_) glm-gptel-auth--texts)
      (ert-info ((symbol-name name))
        (should (or (string-match-p (format "'%s\\_>\\|(%s \\." name name) sources)
                    (memq name '(glm run run-for-file with-cure sentence ask
                                      ask-with-default))))))))

(ert-deftest glm-test-no-name-is-defined-twice ()
  "All files share one name space."
  (let ((sources (glm-test--sources)) (start 0) names)
    (while (string-match "^(\\(?:cl-\\)?def[a-z]+ \\([^ \n)]+\\)[ \n]" sources start)
      (setq start (match-end 0))
      (let ((name (match-string 1 sources)))
        (should-not (member name names))
        (push name names)))
    (should (> (length names) 150))))

(defmacro glm-test--in-chinese (&rest body)
  "Evaluate BODY with Chinese as the language."
  (declare (indent 0) (debug t))
  `(let ((process-environment (cons "GLM_TOKEN_LANG=zh" process-environment)))
     ,@body))

(defun glm-test--should-be-columns (width)
  "Check that texts in this buffer begin in column WIDTH of the screen.
Return the names before them."
  (save-excursion
    (goto-char (point-min))
    (cl-loop while (re-search-forward "^[^ \n]\\(?:[^\n]*?[^ \n]\\)?  +" nil t)
             do (should (equal width (current-column)))
             collect (string-trim (match-string 0)))))

(ert-deftest glm-test-buffers-in-chinese ()
  "The program's texts and Emacs' own are in one language, and in columns."
  (glm-test--in-chinese
    (glm-test--with 'helper
      (glm-gptel-auth-token)
      (glm-gptel-auth-status)
      (with-current-buffer "*glm-token status*"
        (should (equal (glm-test--should-be-columns 12)
                       '("方式" "后台进程" "存储位置" "最近的令牌" "账户" "程序"
                         "版本")))
        (dolist (part '("^GLM 令牌状态" "已运行 [0-9]+ 秒，签发令牌 1 个$"
                        "^存储位置 +系统钥匙串（Secret Service）$"))
          (should (string-match-p part (buffer-string)))))
      (glm-gptel-auth--stop-helper) ; The next one is without network.
      (let ((text (glm-test--doctor)))
        (with-current-buffer "*glm-token doctor*"
          (should (equal (seq-take (glm-test--should-be-columns 12) 3)
                         '("program" "gptel" "log")))
          (goto-char (point-min))
          (forward-line)
          (while (re-search-forward "^[a-z-]+ +\\([^ \n]+\\) +" nil t)
            (should (member (match-string 1) '("正常" "警告" "失败" "未检查")))
            (should (equal 22 (current-column)))))
        (dolist (part '("^GLM 令牌检查：[0-9]+ 个问题" "^helper +正常 +有响应，版本"
                        "^store +正常 +系统钥匙串" "^live +未检查"
                        "^host +失败 +无法连接 open\\.bigmodel\\.cn（经代理"))
          (should (string-match-p part text))))
      (should (equal "GLM：没有保存 api.z.ai（profile 工作） 的 key；\
请运行 M-x glm-gptel-auth-store"
                     (glm-test--message #'glm-gptel-auth-token
                                        "api.z.ai" "工作"))))))

(ert-deftest glm-test-questions-in-chinese ()
  "A key that is refused, replaced and deleted."
  (glm-test--in-chinese
    (glm-test--with 'helper
      (let ((typed '("nodot" "zai.secret" "zai2.secret")) prompts)
        (cl-letf (((symbol-function 'read-passwd)
                   (lambda (prompt &rest _)
                     (push prompt prompts)
                     (copy-sequence (pop typed))))
                  ((symbol-function 'y-or-n-p)
                   (lambda (prompt) (push prompt prompts) t)))
          (glm-gptel-auth-store "api.z.ai" "default")
          (should (equal "GLM：已把 api.z.ai 的 key 保存在系统钥匙串（Secret Service）"
                         (glm-test--said)))
          (glm-gptel-auth-store "api.z.ai" "default")
          (glm-gptel-auth-delete "api.z.ai" "default"))
        (should (equal "GLM：已删除 api.z.ai 的 key" (glm-test--said)))
        (should (equal (nreverse prompts)
                       '("api.z.ai 的 API key（id.secret）："
                         "这不是 API key（id.secret）：没有点号。api.z.ai 的 \
API key（id.secret）："
                         "api.z.ai 的 API key（id.secret）："
                         "api.z.ai 已保存了另一个 key（za…），是否替换？"
                         "是否删除 api.z.ai 的 key？")))))))

(ert-deftest glm-test-two-thousand-tokens-with-one-helper ()
  "Descriptors, processes and buffers stay as they are, memory small."
  (glm-test--with 'helper
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

;;;; Commands that print keys

(defmacro glm-test--with-command (lines &rest body)
  "Evaluate BODY with the program `show', a shell script of LINES.
No other command is known."
  (declare (indent 1) (debug t))
  `(let* ((home (make-temp-file "glm-home" t))
          (process-environment (cons (concat "XDG_CONFIG_HOME=" home)
                                     process-environment))
          (exec-path (list home))
          (show (glm-test--write-program "show" "#!/bin/sh" ,lines)))
     (unwind-protect (glm-test--with 'helper ,@body)
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
                            (cdr (assq 'accounts-row
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
  "Whether there is a command is asked first; nothing is run or remembered."
  (let ((current-prefix-arg '(4)) (agreed t) (typed "0123.MadeUpSecret")
        history)
    (cl-letf (((symbol-function 'y-or-n-p) (lambda (_) agreed))
              ((symbol-function 'read-shell-command)
               (lambda (_prompt _initial kept-in)
                 (setq history kept-in)
                 typed)))
      (should (string-prefix-p
               "GLM: this is a key, not a command; answer no"
               (glm-test--message #'glm-gptel-auth--read-command)))
      (should (eq history t))
      (dolist (command '("show-key.sh" "./0123.MadeUpSecret"
                         "pass show glm.work.api.z.ai"))
        (setq typed command)
        (should (equal (split-string command) (glm-gptel-auth--read-command))))
      (setq agreed nil)
      (should-not (glm-gptel-auth--read-command)))))

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
      (should (equal "GLM: waiting for show; does it ask for something? \
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

(ert-deftest glm-test-store-asks-again-for-what-is-no-key ()
  "With the program's own words, and not more than three times."
  (glm-test--with 'helper
    (let ((typed '("nodot" "a.b.c" "zai.secret")) (prompts nil))
      (cl-letf (((symbol-function 'read-passwd)
                 (lambda (prompt &rest _)
                   (push prompt prompts)
                   (copy-sequence (or (pop typed) "nodot")))))
        (glm-gptel-auth-store "api.z.ai" "default")
        (should (equal "GLM: stored the key for api.z.ai in the keychain \
(Secret Service)"
                       (glm-test--said)))
        (should (equal (nreverse prompts)
                       '("API key for api.z.ai (id.secret): "
                         "This is not an API key (id.secret): it has no dot. \
API key for api.z.ai (id.secret): "
                         "This is not an API key (id.secret): it has more than \
one dot. API key for api.z.ai (id.secret): ")))
        (setq prompts nil)
        (should (string-match-p
                 "\\`GLM: this is not an API key (id.secret): it has no dot; \
copy the whole key from "
                 (glm-test--message #'glm-gptel-auth-store
                                    "api.z.ai" "default")))
        (should (length= prompts 3))
        (glm-test--answering "unused"
          (glm-gptel-auth-delete "api.z.ai" "default"))))))

(ert-deftest glm-test-store-asks-before-it-replaces ()
  "Nothing is asked before the key is typed, or when it is the same key."
  (glm-test--with 'helper
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

(ert-deftest glm-test-store-is-for-the-account-that-failed-last ()
  (glm-test--with-each
    (glm-test--message #'glm-gptel-auth-token "api.z.ai" "work")
    (let ((current-prefix-arg nil))
      (should (equal '("api.z.ai" "work") (glm-gptel-auth--read-account)))
      (glm-test--answering "zai.secret"
        (call-interactively #'glm-gptel-auth-store)
        (glm-test--should-be-token (glm-gptel-auth-token "api.z.ai" "work"))
        (should (equal '(nil nil) (glm-gptel-auth--read-account)))
        (glm-gptel-auth-delete "api.z.ai" "work")))))

(ert-deftest glm-test-what-was-typed-is-cleared ()
  "Both the string and the record of keys that \\[view-lossage] shows."
  (let (secret)
    (cl-letf (((symbol-function 'read-passwd)
               (lambda (&rest _)
                 (setq unread-command-events (list '(t . ?s) '(t . ?e)))
                 (let ((typed (string (read-event) (read-event))))
                   (should (cl-find ?e (recent-keys)))
                   typed))))
      (should-error (glm-gptel-auth--with-secret
                     "Key: " nil (lambda (it)
                                   (should (equal "se" it))
                                   (setq secret it)
                                   (error "No"))))
      (should (equal secret (string 0 0)))
      (should (equal [] (recent-keys))))))

;;;; Defaults that glm-token knows

(ert-deftest glm-test-default-account-is-that-of-the-program ()
  (dolist (variable '("GLM_TOKEN_PROFILE=none" "GLM_TOKEN_HOST=api.z.ai"))
    (let ((process-environment (cons variable process-environment)))
      (glm-test--with-each
        (should (string-match-p "(profile none)\\|api\\.z\\.ai"
                                (glm-test--message #'glm-gptel-auth-token)))
        (let ((glm-gptel-auth-host "open.bigmodel.cn")
              (glm-gptel-auth-profile "default"))
          (glm-test--should-be-token (glm-gptel-auth-token)))))))



;;;; Commands

(defmacro glm-test--without-network (&rest body)
  "Evaluate BODY where the network is refused at once."
  (declare (indent 0) (debug t))
  `(let ((process-environment (cons "https_proxy=http://127.0.0.1:1"
                                    process-environment)))
     ,@body))

(defun glm-test--doctor ()
  "Return what `glm-gptel-auth-doctor' shows."
  (glm-test--without-network (glm-gptel-auth-doctor))
  (with-current-buffer "*glm-token doctor*" (buffer-string)))






(ert-deftest glm-test-status ()
  (glm-test--with-each
    (glm-gptel-auth-token)
    (glm-gptel-auth-status)
    (with-current-buffer "*glm-token status*"
      (let ((text (buffer-string)))
        (dolist (part `("Last token  came in [0-9.]+ ms"
                        "Accounts    open\\.bigmodel\\.cn: .* (keychain)"
                        "Helper      process [0-9]+, glm-token 0\\.[0-9.]+, up 0s, [01] tokens"
                        ,(regexp-quote glm-test--script)
                        ,(format "Transport   %s:" transport)))
          (should (string-match-p part text)))
        (should-not (string-match-p "secretsecret\\|eyJ" text)))
      (revert-buffer))))

(ert-deftest glm-test-waiting-for-the-keychain-is-said ()
  "And the time limit grows meanwhile."
  (pcase-dolist (`(,mode ,transport) '(("waiting" helper)
                                       ("print-waiting" process)))
    (glm-test--with-fake mode transport
      (message "GLM: nothing yet")
      (let ((glm-gptel-auth-timeout 0.4))
        (should (equal (glm-gptel-auth-token) "a.b.c")))
      (should (string-match-p "waiting for the keychain; does it ask"
                              (glm-test--said))))))

(ert-deftest glm-test-restart ()
  (glm-test--with 'helper
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
               (glm-test--store-key "id.secretsecret"))
             ,@body)
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
    (should (equal "GLM: the helper holds no passphrase and no key now; a \
keychain has a lock of its own" (glm-test--said)))
    (glm-test--should-be-token (glm-gptel-auth-token))
    (should (length= glm-test--asked 2))))

(ert-deftest glm-test-lock-reaches-a-helper-on-a-socket ()
  (glm-test--with-key-file '("correct horse")
    (let* ((glm-gptel-auth-socket (expand-file-name "agent.sock" home))
           (process (make-process
                     :name "shared" :noquery t
                     :command (list glm-test--node glm-test--script "daemon"
                                    "--socket" glm-gptel-auth-socket)))
           (state (lambda ()
                    (plist-get (glm-gptel-auth--request 'status) :lock))))
      (unwind-protect
          (progn
            (with-timeout (20 (error "No socket"))
              (while (not (file-exists-p glm-gptel-auth-socket))
                (accept-process-output process 0.1)))
            (glm-test--should-be-token (glm-gptel-auth-token))
            (should (equal (funcall state) "unlocked"))
            (glm-gptel-auth-restart)
            (should (string-prefix-p "GLM: connected to the helper again"
                                     (glm-test--said)))
            (should (equal (funcall state) "unlocked"))
            (glm-gptel-auth-lock)
            (should (equal (funcall state) "locked")))
        (delete-process process)))
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
                   '("Wrong passphrase. Try again: "
                     "Wrong passphrase. Try again: "
                     "Passphrase of the GLM encrypted file: "))))
  (glm-test--with-key-file '("wrong" "wrong" "wrong" "correct horse")
    (should (string-match-p
             "\\`GLM: wrong passphrase for the encrypted file (.*); try again"
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
        (should (equal second "GLM: the passphrase is already being asked for; \
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
    (setq answers (list "id2.secret" "battery" "batty"
                        "battery staple" "battery staple"))
    (glm-gptel-auth-store "open.bigmodel.cn" "default")
    (glm-test--should-be-token (glm-gptel-auth-token))
    (should (equal (nreverse glm-test--asked)
                   '("API key for open.bigmodel.cn (id.secret): "
                     "New passphrase for the GLM encrypted file: "
                     "Repeat passphrase: "
                     "The passphrases do not match. \
New passphrase for the GLM encrypted file: "
                     "Repeat passphrase: ")))))

(defmacro glm-test--without-keychain (&rest body)
  "Evaluate BODY where there is no keychain and no encrypted file yet.
`agreed' is the answer to questions, and `questions' are those asked; of
`answers', one is typed at each prompt for a secret."
  (declare (indent 0) (debug t))
  `(let* ((home (make-temp-file "glm-home" t))
          (process-environment
           (append (list (concat "HOME=" home) "XDG_DATA_HOME"
                         "DBUS_SESSION_BUS_ADDRESS=unix:path=/nowhere")
                   process-environment))
          (glm-test--asked nil)
          (agreed t) answers questions)
     (cl-letf (((symbol-function 'y-or-n-p)
                (lambda (prompt) (push prompt questions) agreed))
               ((symbol-function 'read-passwd)
                (lambda (prompt &rest _)
                  (push prompt glm-test--asked)
                  (copy-sequence (pop answers)))))
       (unwind-protect (glm-test--with 'helper ,@body)
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
                   '("API key for the default host (id.secret): "
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
  "The doctor offers the file too, and the status does not contradict itself."
  (glm-test--without-keychain
    (let ((cure "there is no keychain: .*; \
run M-x glm-gptel-auth-store, which offers an encrypted file$"))
      (should (string-match-p cure (glm-test--message #'glm-gptel-auth-token)))
      (should (string-match-p (concat "^\\(?:store\\|backend\\) +failure .*" cure)
                              (glm-test--doctor)))
      (glm-gptel-auth-status)
      (with-current-buffer "*glm-token status*"
        (dolist (part (list "^Store +the keychain (.*), not available now$"
                            (concat "^Accounts +" cure)))
          (should (string-match-p part (buffer-string))))))))

(ert-deftest glm-test-looking-does-not-ask-for-the-passphrase ()
  (glm-test--with-key-file '("correct horse")
    (glm-gptel-auth-status)
    (with-current-buffer "*glm-token status*"
      (dolist (part '("Store       the encrypted file (.*), locked$"
                      "Accounts    the encrypted file is locked; the next request asks"))
        (should (string-match-p part (buffer-string)))))
    (glm-test--doctor)
    (should-not glm-test--asked)
    (glm-test--should-be-token (glm-gptel-auth-token))
    (glm-gptel-auth-status)
    (with-current-buffer "*glm-token status*"
      (should (string-match-p "the encrypted file (.*), unlocked"
                              (buffer-string))))))

(ert-deftest glm-test-one-process-a-token-cannot-ask ()
  (glm-test--with-key-file nil
    (let ((glm-gptel-auth-transport 'process))
      (should (equal (glm-test--message #'glm-gptel-auth-token)
                     "GLM: the encrypted file needs its passphrase; set \
`glm-gptel-auth-transport' to helper, which asks for it"))
      (setenv "GLM_TOKEN_PASSPHRASE_FILE" passphrase)
      (glm-test--should-be-token (glm-gptel-auth-token)))))

(ert-deftest glm-test-doctor-with-a-passphrase-file ()
  "It reads the keys with the passphrase of that file."
  (glm-test--with-key-file nil
    (setenv "GLM_TOKEN_PASSPHRASE_FILE" passphrase)
    (should (string-match-p "key +ok .*open\\.bigmodel\\.cn"
                            (glm-test--doctor)))))

(ert-deftest glm-test-latency-is-not-that-of-typing ()
  (glm-test--with-key-file nil
    (cl-letf (((symbol-function 'read-passwd)
               (lambda (&rest _) (sleep-for 0.4) (copy-sequence "correct horse"))))
      (let ((elapsed (car (benchmark-run 1 (glm-gptel-auth-token)))))
        (should (< glm-gptel-auth--latency (- elapsed 0.3)))))))

(provide 'glm-gptel-auth-test)
;;; glm-gptel-auth-test.el ends here
