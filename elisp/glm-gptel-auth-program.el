;;; glm-gptel-auth-program.el --- Find glm-token, and the node that runs it  -*- lexical-binding: t; -*-

;; Copyright (C) 2026 The glm-token developers

;; Author: The glm-token developers
;; Maintainer: The glm-token developers
;; Keywords: comm, tools
;; SPDX-License-Identifier: GPL-3.0-or-later

;; This file is part of glm-gptel-auth; see glm-gptel-auth.el for its
;; licence, the GNU General Public License.

;;; Commentary:

;; Where glm-token is, how to call it, and in which environment.

;;; Code:

(require 'glm-gptel-auth)
(require 'glm-gptel-auth-messages)
(eval-when-compile
  (require 'cl-lib)
  (require 'subr-x))

(declare-function json-read-from-string "json")
(defvar json-object-type)
(defvar json-false)
(defvar json-null)

;;;; Where things are

(defconst glm-gptel-auth--directory
  (file-name-directory
   (file-truename (or load-file-name buffer-file-name default-directory)))
  "The directory that this file was loaded from.")

(defconst glm-gptel-auth--places
  '("/opt/homebrew/bin" "/usr/local/bin" "~/.volta/bin" "~/.local/bin"
    "~/.local/share/mise/shims" "~/.asdf/shims" "~/.nvm/versions/node/*/bin"
    "~/.local/share/fnm/aliases/default/bin" "~/n/bin"
    "C:/Program Files/nodejs")
  "Directories to search for node, and for what npm installs, after PATH.
An Emacs that was started from a desktop often has a short PATH.")

(defun glm-gptel-auth--local-directory ()
  "Return a directory that exists on this machine, for use in any buffer."
  (file-name-as-directory (expand-file-name "/")))

(defun glm-gptel-auth--find-executable (name)
  "Return the absolute name of the program NAME, a string, or nil.
It is searched for on variable `exec-path', and then in the usual places."
  (let ((default-directory (glm-gptel-auth--local-directory)))
    (or (executable-find name)
        (locate-file name
                     (cl-loop for place in glm-gptel-auth--places
                              append (nreverse (file-expand-wildcards place t)))
                     exec-suffixes #'file-executable-p))))

;;;; What node runs

(defun glm-gptel-auth--node-script-p (file)
  "Return non-nil when FILE is a script for node, by its name or first line.
What a package manager puts in its place (pnpm, Volta, asdf, mise) is a
program or a shell script, which finds node and the script by itself."
  (or (string-match-p "\\.[cm]?js\\'" file)
      (with-temp-buffer
        (ignore-errors (insert-file-contents-literally file nil 0 200))
        (looking-at-p "#!.*[/ \t]node\\(?:[ \t\r]\\|$\\)"))))

(defun glm-gptel-auth--script-behind (command script)
  "Return the absolute name of the script for node behind COMMAND, or nil.
SCRIPT is where it is in node_modules, for the .cmd file that npm makes
beside that directory on Windows.  Return nil when COMMAND has to be run as
it is."
  (let ((file (if (string-suffix-p ".cmd" command t)
                  (expand-file-name (concat "node_modules/" script)
                                    (file-name-directory command))
                (file-truename command))))
    (and (file-exists-p file)
         (glm-gptel-auth--node-script-p file)
         file)))

(defun glm-gptel-auth--with-node (script)
  "Return the command line of node and SCRIPT, a file name."
  (let ((node (glm-gptel-auth--find-executable "node")))
    (unless node
      (glm-gptel-auth--fail
       nil (glm-gptel-auth--text 'no-node) (glm-gptel-auth--text 'set-command)))
    (list node script)))

(defun glm-gptel-auth--found-command (name script)
  "Return the command line of the program NAME, a list of strings, or nil.
It is a node and a script, or a program that finds both by itself.  SCRIPT
is where its script is in node_modules."
  (when-let* ((command (glm-gptel-auth--find-executable name)))
    (if-let* ((file (glm-gptel-auth--script-behind command script)))
        (glm-gptel-auth--with-node file)
      (list command))))

;;;; glm-token

(defconst glm-gptel-auth--script "glm-token/dist/cli.cjs"
  "Where the script of glm-token is in node_modules.")

(defun glm-gptel-auth--install-directory ()
  "Return the directory that `glm-gptel-auth-install' has npm install into."
  (file-name-as-directory (expand-file-name "glm-token" user-emacs-directory)))

(defun glm-gptel-auth--installed-script ()
  "Return where the script of `glm-gptel-auth-install' is, a file name."
  (expand-file-name (concat "node_modules/" glm-gptel-auth--script)
                    (glm-gptel-auth--install-directory)))

(defun glm-gptel-auth--installed-version ()
  "Return the version that `glm-gptel-auth-install' installed, or nil."
  (let ((file (expand-file-name "../../package.json"
                                (glm-gptel-auth--installed-script))))
    (when (file-readable-p file)
      (with-temp-buffer
        (insert-file-contents file)
        (plist-get (glm-gptel-auth--parse-json (buffer-string)) :version)))))

(defun glm-gptel-auth--configured-program ()
  "Return the value of `glm-gptel-auth-command' as a list of strings.
Expand a leading \"~\" in each, which Emacs does for the program alone."
  (let* ((command (mapcar (lambda (word)
                            (if (string-prefix-p "~" word)
                                (expand-file-name word)
                              word))
                          (ensure-list glm-gptel-auth-command)))
         (script (cadr command))
         (missing (cond ((not (executable-find (car command))) (car command))
                        ((and script
                              (string-match-p "\\.[cm]?js\\'" script)
                              (file-name-absolute-p script)
                              (not (file-exists-p script)))
                         script))))
    (when missing
      (glm-gptel-auth--fail nil (glm-gptel-auth--text 'not-found missing)
                            (glm-gptel-auth--text 'check-command)))
    command))

(defun glm-gptel-auth--found-program ()
  "Return the command line of the glm-token that is found, a list of strings.
The order is that of `glm-gptel-auth-command'."
  (let ((beside (expand-file-name "../dist/cli.cjs" glm-gptel-auth--directory))
        (installed (glm-gptel-auth--installed-script)))
    (cond ((file-exists-p beside) (glm-gptel-auth--with-node beside))
          ((file-exists-p installed) (glm-gptel-auth--with-node installed))
          ((glm-gptel-auth--found-command "glm-token" glm-gptel-auth--script))
          (t (glm-gptel-auth--fail
              nil (glm-gptel-auth--text 'no-program)
              (glm-gptel-auth--text 'run 'glm-gptel-auth-install))))))

(defun glm-gptel-auth--program ()
  "Return the command line of glm-token, a list of strings."
  (let ((default-directory (glm-gptel-auth--local-directory)))
    (if glm-gptel-auth-command
        (glm-gptel-auth--configured-program)
      (glm-gptel-auth--found-program))))

(defun glm-gptel-auth--uses-installed-p ()
  "Return non-nil when what `glm-gptel-auth-install' installed is in use."
  (member (glm-gptel-auth--installed-script)
          (condition-case nil (glm-gptel-auth--program)
            (glm-gptel-auth-error nil))))

(defun glm-gptel-auth--environment ()
  "Return a value of `process-environment' to run glm-token with.
It speaks our language.  NODE_OPTIONS is unset, since it could have node
open its debugger, where others read keys."
  (append (list "NODE_OPTIONS"
                (concat "GLM_TOKEN_LANG=" (glm-gptel-auth--language)))
          process-environment))

(defun glm-gptel-auth--parse-json (text)
  "Return the JSON object in TEXT as a plist, or nil when there is none."
  (require 'json)
  (let ((json-object-type 'plist) (json-false :json-false) (json-null nil))
    (ignore-errors
      (let ((value (json-read-from-string text)))
        (and (consp value) value)))))

(provide 'glm-gptel-auth-program)
;;; glm-gptel-auth-program.el ends here
