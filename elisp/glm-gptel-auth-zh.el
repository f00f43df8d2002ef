;;; glm-gptel-auth-zh.el --- What Emacs says, in Chinese  -*- lexical-binding: t; -*-

;; Copyright (C) 2026 The glm-token developers

;; Author: The glm-token developers
;; Maintainer: The glm-token developers
;; Keywords: comm, tools
;; SPDX-License-Identifier: GPL-3.0-or-later

;; This file is part of glm-gptel-auth; see glm-gptel-auth.el for its
;; licence, the GNU General Public License.

;;; Commentary:

;; The Chinese of every text that Emacs shows by itself.  English stands
;; where it is used, in `glm-gptel-auth--text'.

;;; Code:

(defconst glm-gptel-auth--zh
  '(;; How texts are put together
    ("GLM: %s" . "GLM：%s")
    ("%s; %s" . "%s；%s"))
  "Chinese formats by the English ones, an alist.
They may take their arguments in another order.")

(provide 'glm-gptel-auth-zh)
;;; glm-gptel-auth-zh.el ends here
