;;; glm-gptel-auth-wait-test.el --- Tests of how Emacs waits for an answer  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; Run by elisp.test.ts, with helpers that misbehave in place of the real one.

;;; Code:

(require 'ert)
(require 'cl-lib)
(require 'glm-gptel-auth)

(defconst glm-wait--fake
  (expand-file-name "../support/fake-glm-token.sh"
                    (file-name-directory (or load-file-name buffer-file-name))))

(defvar glm-wait--log (make-temp-file "glm-wait")
  "The file in which the fake notes its starts.")
(setenv "GLM_FAKE_LOG" glm-wait--log)

(defmacro glm-wait--with (mode seconds &rest body)
  "Evaluate BODY with a helper that does MODE, and SECONDS to wait for it."
  (declare (indent 2) (debug t))
  `(let ((glm-gptel-auth-command (list glm-wait--fake ,mode))
         (glm-gptel-auth--seconds ,seconds))
     (write-region "" nil glm-wait--log nil 'quiet)
     (unwind-protect (progn ,@body)
       (glm-gptel-auth--stop-helper))))

(defun glm-wait--starts ()
  "Return how many helpers were started."
  (with-temp-buffer
    (insert-file-contents glm-wait--log)
    (count-lines (point-min) (point-max))))

(defun glm-wait--token ()
  "Return a token, or the message of the failure in its place, or `quit'."
  (condition-case failure (glm-gptel-auth-token)
    (user-error (cadr failure))
    (quit 'quit)))

(defun glm-wait--until (done-p)
  "Read until DONE-P returns non-nil, for at most 20 seconds."
  (with-timeout (20 (ert-fail "It does not end"))
    (while (not (funcall done-p)) (accept-process-output nil 0.02))))

(defun glm-wait--from (place function)
  "Call FUNCTION from PLACE, and return its value.
PLACE is `top', or what it is called in: `timer', `filter' or `sentinel'."
  (let* ((value 'none)
         (call (lambda (&rest _)
                 (when (eq value 'none)
                   (setq value nil
                         value (funcall function)))))
         (process nil))
    (pcase place
      ('top (funcall call))
      ('timer (run-at-time 0 nil call))
      (_ (setq process
               (make-process :name "place" :command '("sh" "-c" "echo")
                             :connection-type 'pipe :noquery t
                             :filter (if (eq place 'filter) call #'ignore)
                             :sentinel (if (eq place 'sentinel) call
                                         #'ignore)))))
    (glm-wait--until (lambda () (not (memq value '(none nil)))))
    (when process (delete-process process))
    value))

(defun glm-wait--two (place)
  "Make a request from PLACE, and another one while it waits.
Return what both brought."
  (let* ((second nil)
         (again (lambda () (setq second (glm-wait--token))))
         (first (glm-wait--from place (lambda ()
                                        (run-at-time 0.2 nil again)
                                        (glm-wait--token)))))
    (glm-wait--until (lambda () second))
    (list first second)))

(defmacro glm-wait--deftest-two (name mode)
  "Define the test NAME that two requests get their answers from MODE."
  `(ert-deftest ,name ()
     (dolist (place '(top timer filter sentinel))
       (ert-info ((symbol-name place))
         (glm-wait--with ,mode 5
           (should (equal '("a.b.first" "a.b.second") (glm-wait--two place)))
           (should (equal 1 (glm-wait--starts))))))))

(glm-wait--deftest-two glm-wait-two-answered-together "both-together")
(glm-wait--deftest-two glm-wait-two-first-answered-first "both-first")
(glm-wait--deftest-two glm-wait-two-second-answered-first "both-second")

(defmacro glm-wait--deftest-two-and-a-prompt (name mode)
  "Define the test NAME that two requests wait while the keychain asks.
MODE answers long after the time limit without a prompt is over."
  `(ert-deftest ,name ()
     (dolist (place '(top timer filter sentinel))
       (ert-info ((symbol-name place))
         (glm-wait--with ,mode 0.5
           (should (equal '("a.b.first" "a.b.second") (glm-wait--two place)))
           (should (equal 1 (glm-wait--starts))))))))

(glm-wait--deftest-two-and-a-prompt
 glm-wait-two-and-a-prompt-answered-together "waiting-together")
(glm-wait--deftest-two-and-a-prompt
 glm-wait-two-and-a-prompt-first-answered-first "waiting-first")
(glm-wait--deftest-two-and-a-prompt
 glm-wait-two-and-a-prompt-second-answered-first "waiting-second")

(ert-deftest glm-wait-helper-dies-while-one-waits ()
  "It is started once more, and no more."
  (dolist (place '(top timer filter sentinel))
    (ert-info ((symbol-name place))
      (glm-wait--with "dies-late" 10
        (let ((start (float-time)))
          (should (equal "GLM: the helper ended with status 1; \
run M-x glm-gptel-auth-doctor"
                         (glm-wait--from place #'glm-wait--token)))
          (should (< (- (float-time) start) 8))
          (should (equal 2 (glm-wait--starts))))))))

(ert-deftest glm-wait-helper-dies-while-two-wait ()
  (dolist (place '(top timer filter sentinel))
    (ert-info ((symbol-name place))
      (glm-wait--with "dies-late" 10
        (let ((start (float-time)))
          (dolist (said (glm-wait--two place))
            (should (string-prefix-p "GLM: the helper ended with status 1"
                                     said)))
          (should (< (- (float-time) start) 9))
          (should (<= (glm-wait--starts) 3)))))))

(ert-deftest glm-wait-answer-comes-while-a-timer-passes-the-deadline ()
  (glm-wait--with "answers-late" 0.8
    (run-at-time 0.2 nil (lambda () (sleep-for 1.5)))
    (should (equal "a.b.c" (glm-wait--token)))
    (should (equal 1 (glm-wait--starts)))))

(ert-deftest glm-wait-answer-comes-while-a-timer-computes ()
  "It reads nothing meanwhile."
  (glm-wait--with "answers-late" 0.8
    (run-at-time 0.2 nil (lambda ()
                           (let ((end (+ 1.5 (float-time))))
                             (while (< (float-time) end)))))
    (should (equal "a.b.c" (glm-wait--token)))
    (should (equal 1 (glm-wait--starts)))))

(ert-deftest glm-wait-answer-comes-while-emacs-is-stopped ()
  (glm-wait--with "answers-late" 0.8
    (call-process "sh" nil 0 nil "-c"
                  (format "sleep 0.2; kill -STOP %d; sleep 1.5; kill -CONT %d"
                          (emacs-pid) (emacs-pid)))
    (should (equal "a.b.c" (glm-wait--token)))
    (should (equal 1 (glm-wait--starts)))))

(ert-deftest glm-wait-timers-of-others-are-not-cut-short ()
  (glm-wait--with "waiting-together" 0.3
    (let ((ended 0))
      (run-at-time 0.2 nil (lambda () (sleep-for 2) (cl-incf ended)))
      (should (equal "a.b.first" (glm-wait--token)))
      (should (eql 1 ended)))))

(ert-deftest glm-wait-can-be-quit-out-of ()
  "Where quitting is inhibited too, as in what a tool loop runs in."
  (dolist (place '(top timer filter sentinel))
    (ert-info ((symbol-name place))
      (glm-wait--with "silent" 15
        (let ((start (float-time)))
          (run-at-time 0.3 nil (lambda () (setq quit-flag t)))
          (should (eq 'quit (glm-wait--from place #'glm-wait--token)))
          (should (< (- (float-time) start) 5)))))))

(ert-deftest glm-wait-noise-before-the-first-frame ()
  (glm-wait--with "garbage" 10
    (let ((start (float-time)))
      (should (string-prefix-p "GLM: the helper ended" (glm-wait--token)))
      (should (< (- (float-time) start) 8))
      (should (equal 2 (glm-wait--starts))))))

(ert-deftest glm-wait-output-is-closed ()
  "By a helper that lives on."
  (dotimes (_ 3)
    (glm-wait--with "closed" 0.6
      (let ((start (float-time)))
        (should (equal "GLM: the helper did not answer in time; \
run M-x glm-gptel-auth-doctor"
                       (glm-wait--token)))
        (should (< (- (float-time) start) 4))
        (should (equal 1 (glm-wait--starts)))))))

(ert-deftest glm-wait-half-a-frame-or-another-id-is-no-answer ()
  (dolist (mode '("half-frame" "wrong-id" "silent"))
    (ert-info (mode)
      (glm-wait--with mode 0.6
        (should (string-prefix-p "GLM: the helper did not answer in time"
                                 (glm-wait--token)))
        ;; The next request starts another one.
        (should-not glm-gptel-auth--helper)))))

(ert-deftest glm-wait-is-over-as-soon-as-the-answer-is-there ()
  "Whichever way jsonrpc.el hands it on."
  (glm-wait--with "answers-late" 5
    (let ((start (float-time)))
      (should (equal "a.b.c" (glm-wait--token)))
      (should (< (- (float-time) start) 2)))))

(provide 'glm-gptel-auth-wait-test)
;;; glm-gptel-auth-wait-test.el ends here
