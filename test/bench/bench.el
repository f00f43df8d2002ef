;;; bench.el --- How long a token takes in Emacs  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; Prints one JSON object: for each name, the times in ms, taken in turns.

;;; Code:

(require 'glm-gptel-auth)

(defun glm-bench-time (function)
  "Return how long FUNCTION takes, in ms."
  (let ((start (current-time)))
    (funcall function)
    (* 1000 (float-time (time-since start)))))

(defun glm-bench-rounds (count functions)
  "Time each of FUNCTIONS, pairs of a name and a function, COUNT times in turns."
  (let ((times (mapcar (lambda (pair) (list (car pair))) functions)))
    (dotimes (_ count)
      (pcase-dolist (`(,name . ,function) functions)
        (push (glm-bench-time function) (cdr (assq name times)))))
    (mapcar (lambda (row) (cons (car row) (vconcat (cdr row)))) times)))

(defun glm-bench-call (command)
  "Return a function that runs COMMAND, a list, by `call-process'."
  (lambda () (with-temp-buffer
               (apply #'call-process (car command) nil t nil (cdr command)))))

(defun glm-bench-echo (command)
  "Return a function that sends a frame to COMMAND, a list, and waits for one."
  (let* ((process-adaptive-read-buffering nil)
         (frame (make-string 300 ?x))
         (process (make-process :name "echo" :command command :noquery t
                                :connection-type 'pipe
                                :filter (lambda (_ _) (throw 'echo t)))))
    (lambda ()
      (catch 'echo
        (process-send-string process frame)
        (while t (accept-process-output process 1))))))

(let* ((node (getenv "GLM_TEST_NODE"))
       (script (getenv "GLM_TEST_SCRIPT"))
       (glm-gptel-auth-command (list node script))
       (header (lambda () (glm-gptel-auth-header))))
  (dotimes (_ 200) (funcall header))
  (let ((fast (glm-bench-rounds
               1500
               `((header . ,header)
                 (echo . ,(glm-bench-echo '("cat")))
                 (floors . ,(glm-bench-echo
                             (list node (getenv "GLM_TEST_KEYCHAIN_READ")
                                   "pipe"))))))
        (slow (glm-bench-rounds
               30
               `((true . ,(glm-bench-call '("true")))
                 (node . ,(glm-bench-call (list node "-e" "0")))
                 (print . ,(glm-bench-call (list node script "print")))
                 (python . ,(glm-bench-call
                             (list (getenv "GLM_TEST_PYTHON")
                                   (getenv "GLM_TEST_PYTHON_SAMPLE"))))))))
    (princ (json-serialize
            `((emacs . ,emacs-version)
              (helperMegabytes
               . ,(/ (alist-get 'rss (process-attributes
                                      (process-id glm-gptel-auth--helper)))
                     1024.0))
              (fast . ,fast)
              (slow . ,slow)))))
  (glm-gptel-auth--stop-helper))

;;; bench.el ends here
