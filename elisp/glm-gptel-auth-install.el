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
;; directory of its own, in a compilation buffer.

;;; Code:

(require 'compile)
(require 'subr-x)
(require 'glm-gptel-auth)

(defconst glm-gptel-auth--published nil
  "Non-nil when the glm-token on npm's registry is this project's.
Until the first release, a program of that name may be anybody's.  The
release sets this.")

(defun glm-gptel-auth--how-to-install ()
  "Return what to do to have glm-token, a string; no cure leads to a refusal."
  (if glm-gptel-auth--published
      (glm-gptel-auth--text "run M-x %s" 'glm-gptel-auth-install)
    (glm-gptel-auth--text "run `npm install -g .' in a checkout of it, or \
`npm pack' there, and then C-u M-x glm-gptel-auth-install here")))

(defun glm-gptel-auth--npm-ended (_buffer how)
  "Say what to do next if npm succeeded, as HOW, a string, has it."
  (when (string-prefix-p "finished" how)
    (glm-gptel-auth--stop-helper)       ; That of the old version.
    (if (member (glm-gptel-auth--installed-script)
                (ignore-error glm-gptel-auth-error (glm-gptel-auth--program)))
        (glm-gptel-auth--say
         "installed glm-token; M-x glm-gptel-auth-setup goes on from here")
      (glm-gptel-auth--say "installed glm-token, but another one takes \
precedence; see M-x glm-gptel-auth-status"))))

;;;###autoload
(defun glm-gptel-auth-install (&optional tarball)
  "Install glm-token, the program behind this package, after asking.
It is the version of this package, or what the file TARBALL holds, as
`npm pack' makes it; with a prefix argument, ask for that file.  npm puts it
into the directory glm-token in `user-emacs-directory', in place of the
version that is there.  No other program of that name is changed."
  (interactive
   (list (when current-prefix-arg
           (read-file-name
            (glm-gptel-auth--text "File that `npm pack' made: ")))))
  (glm-gptel-auth--with-user-errors
    (unless (or tarball glm-gptel-auth--published)
      (glm-gptel-auth--fail
       (glm-gptel-auth--text "glm-token is not on npm's registry yet")
       (glm-gptel-auth--how-to-install)))
    (unless (executable-find "npm")
      (glm-gptel-auth--fail
       (glm-gptel-auth--text "cannot find npm, which comes with Node")
       (glm-gptel-auth--text
        "install Node, from your system's packages or nodejs.org")))
    (let ((package (if tarball (expand-file-name tarball)
                     (concat "glm-token@" glm-gptel-auth-version)))
          (directory (expand-file-name "glm-token/" user-emacs-directory)))
      (when (y-or-n-p (glm-gptel-auth--text
                       "Install %s with npm into %s? "
                       (abbreviate-file-name package)
                       (abbreviate-file-name directory)))
        (make-directory directory t)
        (glm-gptel-auth--globally
          ;; What npm starts is no place for a key.
          (push "GLM_API_KEY" process-environment)
          (let ((default-directory directory))
            (with-current-buffer
                (compilation-start
                 ;; No script of any package is run: keytar brings its
                 ;; binaries with it.
                 (mapconcat #'shell-quote-argument
                            (list "npm" "install" "--ignore-scripts"
                                  "--no-audit" "--no-fund" "--loglevel=http"
                                  (concat "--prefix="
                                          (directory-file-name directory))
                                  package)
                            " ")
                 nil (lambda (_) "*glm-token install*"))
              (add-hook 'compilation-finish-functions
                        #'glm-gptel-auth--npm-ended nil t))))))))

(provide 'glm-gptel-auth-install)
;;; glm-gptel-auth-install.el ends here
