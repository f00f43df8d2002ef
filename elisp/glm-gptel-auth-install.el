;;; glm-gptel-auth-install.el --- Install glm-token with npm  -*- lexical-binding: t; -*-

;; Copyright (C) 2026 The glm-token developers

;; Author: The glm-token developers
;; Maintainer: The glm-token developers
;; Keywords: comm, tools
;; SPDX-License-Identifier: GPL-3.0-or-later

;; This file is part of glm-gptel-auth; see glm-gptel-auth.el for its
;; licence, the GNU General Public License.

;;; Commentary:

;; M-x glm-gptel-auth-install is for those who have this package and not the
;; program.  It has npm install the program of the same version into a
;; directory of its own, and shows what npm says meanwhile.

;;; Code:

(require 'subr-x)
(require 'glm-gptel-auth)
(require 'glm-gptel-auth-messages)
(require 'glm-gptel-auth-program)
(require 'glm-gptel-auth-helper)

(defconst glm-gptel-auth--published nil
  "Non-nil when the glm-token on npm's registry is this project's.
Until the first release, a program of that name may be anybody's.  The
release sets this.")

(defconst glm-gptel-auth--install-buffer "*glm-token install*"
  "Name of the buffer that shows what npm says.")

(defun glm-gptel-auth--npm (package)
  "Return the command line of npm to install PACKAGE, as npm names it.
No script of any package is run: keytar brings its binaries with it."
  (append (or (glm-gptel-auth--found-command "npm" "npm/bin/npm-cli.js")
              (glm-gptel-auth--fail nil (glm-gptel-auth--text 'no-npm)
                                    (glm-gptel-auth--text 'install-node)))
          (list "install" "--ignore-scripts" "--no-audit" "--no-fund"
                "--loglevel=http"       ; Otherwise it says nothing meanwhile.
                (concat "--prefix=" (directory-file-name
                                     (glm-gptel-auth--install-directory)))
                package)))

(defun glm-gptel-auth--start-npm (command)
  "Start COMMAND, a command line of npm, and show its output."
  (let* ((buffer (get-buffer-create glm-gptel-auth--install-buffer))
         (directory (glm-gptel-auth--install-directory))
         (default-directory directory)
         ;; What npm starts is no place for a key.
         (process-environment (cons "GLM_API_KEY" (glm-gptel-auth--environment))))
    (make-directory directory t)
    (with-current-buffer buffer
      (special-mode)
      (let ((inhibit-read-only t))
        (erase-buffer)
        (insert (string-join command " ") "\n\n")))
    (display-buffer buffer)
    (make-process :name "glm-token install" :buffer buffer :command command
                  :connection-type 'pipe :coding 'utf-8
                  :sentinel #'glm-gptel-auth--npm-ended)))

(defun glm-gptel-auth--npm-ended (process _event)
  "Report how PROCESS, an npm, ended."
  (unless (process-live-p process)
    (let ((buffer (process-buffer process))
          (status (process-exit-status process))
          (version (glm-gptel-auth--installed-version)))
      (cond ((not (and (eql 0 status) version))
             (when (buffer-live-p buffer) (display-buffer buffer))
             (glm-gptel-auth--say 'npm-failed status
                                  glm-gptel-auth--install-buffer))
            (t (glm-gptel-auth--stop-helper) ; That of the old version.
               (when-let* ((window (get-buffer-window buffer t)))
                 (quit-window nil window))
               (glm-gptel-auth--say-installed version))))))

(defun glm-gptel-auth--say-installed (version)
  "Say that VERSION, a string, of glm-token is installed, and what to do next."
  (cond ((not (glm-gptel-auth--uses-installed-p))
         (glm-gptel-auth--say 'installed-not-used version))
        ((equal version glm-gptel-auth-version)
         (glm-gptel-auth--say 'installed version))
        (t (glm-gptel-auth--say 'versions-differ version
                                glm-gptel-auth-version))))

(defun glm-gptel-auth--read-tarball ()
  "With a prefix argument, ask for a package of glm-token in a file.
Return a list of its name, or of nil."
  (list (when current-prefix-arg
          (read-file-name (glm-gptel-auth--text 'ask-tarball) nil nil t nil
                          (lambda (name)
                            (or (file-directory-p name)
                                (string-suffix-p ".tgz" name)))))))

;;;###autoload
(defun glm-gptel-auth-install (&optional tarball)
  "Install glm-token, the program behind this package, after asking.
It is the version of this package, or what the file TARBALL holds, as
`npm pack' makes it; with a prefix argument, ask for that file.  npm puts it
into the directory glm-token in `user-emacs-directory', in place of the
version that is there.  No other program of that name is changed."
  (interactive (glm-gptel-auth--read-tarball))
  (glm-gptel-auth--with-user-errors
    (unless (or tarball glm-gptel-auth--published)
      (glm-gptel-auth--fail nil (glm-gptel-auth--text 'not-published)
                            (glm-gptel-auth--text 'without-registry)))
    (when (get-process "glm-token install")
      (glm-gptel-auth--fail nil (glm-gptel-auth--text 'npm-runs)))
    (let* ((file (and tarball (expand-file-name tarball)))
           (package (or file (concat "glm-token@" glm-gptel-auth-version)))
           (title (if file (abbreviate-file-name file) package))
           (command (glm-gptel-auth--npm package))
           (version (glm-gptel-auth--installed-version)))
      (if (y-or-n-p
           (if version (glm-gptel-auth--text 'ask-update version title)
             (glm-gptel-auth--text
              'ask-install title (abbreviate-file-name
                                  (glm-gptel-auth--install-directory)))))
          (glm-gptel-auth--start-npm command)
        (glm-gptel-auth--say 'not-installed)))))

(provide 'glm-gptel-auth-install)
;;; glm-gptel-auth-install.el ends here
