;;; chat.el --- A chat with gptel, and its picture  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; Loads the lines that glm-token printed for init.el, sends each of the
;; prompts in the JSON list $GLM_PICTURE_PROMPTS, and writes the chat into
;; the file $GLM_PICTURE_TEXT.  With $GLM_PICTURE_FRAME, a file, Emacs draws
;; its frame into that one.

;;; Code:

(require 'org)
(require 'gptel)
(require 'pulse)

;; Only an Emacs with windows has these.
(declare-function scroll-bar-mode "scroll-bar")
(declare-function set-fontset-font "fontset.c")
(declare-function tool-bar-mode "tool-bar")
(declare-function x-export-frames "xfns.c")

(defvar glm-picture--frame (getenv "GLM_PICTURE_FRAME")
  "File for the picture of the frame, a string or nil.")

(defun glm-picture--dress ()
  "Give the frame a theme, fonts that are unpacked with Emacs, and a size."
  (menu-bar-mode -1)
  (tool-bar-mode -1)
  (scroll-bar-mode -1)
  (blink-cursor-mode -1)
  (load-theme 'modus-operandi t)
  (set-face-attribute 'default nil :family "JetBrains Mono" :height 110)
  (set-fontset-font t 'han "WenQuanYi Micro Hei")
  (set-fontset-font t 'cjk-misc "WenQuanYi Micro Hei")
  (set-frame-parameter nil 'internal-border-width 12)
  (set-frame-size nil 84 15))

(defun glm-picture--ask (prompt)
  "Send PROMPT, and wait for the answer, and for the next place to type."
  (insert prompt)
  (gptel-send)
  (with-timeout (30 (error "No answer"))
    (while gptel--request-alist (accept-process-output nil 0.05)))
  (gptel-end-of-response))

(load (getenv "GLM_PICTURE_INIT") nil t)
(when glm-picture--frame (glm-picture--dress))
(setq gptel-default-mode 'org-mode)
(let ((chat (gptel "*GLM*")))
  (with-current-buffer chat
    (visual-line-mode 1)
    (goto-char (point-max))
    (mapc #'glm-picture--ask (json-parse-string (getenv "GLM_PICTURE_PROMPTS")))
    (when glm-picture--frame
      (switch-to-buffer chat)
      (delete-other-windows)
      (message nil)
      (pulse-momentary-unhighlight)
      (redisplay t)
      (let ((coding-system-for-write 'binary))
        (write-region (x-export-frames nil 'svg) nil glm-picture--frame nil 0)))
    (write-region (format "%s %s\n%s" (gptel-backend-name gptel-backend)
                          gptel-model (buffer-string))
                  nil (getenv "GLM_PICTURE_TEXT") nil 0)))
(kill-emacs)

;;; chat.el ends here
