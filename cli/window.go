package cli

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cyclops-fpga/cyclops/cli/term"
)

// The size of a terminal that does not know its own.
const (
	usualRows = 24
	usualCols = 80
)

// redrawAfter is the time between the two sizes that make a program draw its screen again: it
// must have seen the first one.
const redrawAfter = 50 * time.Millisecond

// window is the place where a job's own terminal shows: the bytes pass as they are. While it is
// raw the keys do so too. A nil window is never raw.
type window struct {
	in     *os.File
	out    *term.Output
	self   []string
	resize func(rows, cols int)

	mu      sync.Mutex
	raw     *term.Raw // nil: not raw
	guard   *term.Guard
	modes   term.Modes
	inLine  bool // the job left the cursor within a line
	noticed bool
	nudge   *time.Timer
	closed  bool // there is nothing to give back while this process is stopped

	isSet     atomic.Bool // raw is not nil
	suspended bool        // mu is held until resume; only the goroutine of watch looks
}

// enter makes the terminal raw and starts its guard.
func (w *window) enter() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.raw != nil {
		return nil
	}
	if w.guard == nil {
		screen := w.out.File()
		if !term.IsTerminal(screen) {
			screen = nil
		}
		// Without a guard the terminal is restored all the same, unless this process is killed.
		w.guard, _ = term.StartGuard(append(w.self, "guard"), w.in, screen)
	}
	raw, err := term.MakeRaw(w.in, w.guard)
	w.raw = raw
	w.isSet.Store(err == nil)
	return err
}

// leave restores the terminal; reset also undoes the modes that the job switched on, for a job
// that is left in the middle of things.
func (w *window) leave(reset bool) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if reset && w.out.Terminal() {
		undo := w.modes.Reset()
		if w.inLine && !w.modes.Alternate() {
			undo += "\r\n"
		}
		io.WriteString(w.out, undo)
		w.inLine = false
	}
	if w.raw != nil {
		w.raw.Restore()
		w.raw = nil
		w.isSet.Store(false)
	}
}

// close restores the terminal for good.
func (w *window) close(reset bool) {
	if w == nil {
		return
	}
	w.leave(reset)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.nudge != nil && w.nudge.Stop() {
		w.resize(w.size())
	}
	w.guard.Close()
	w.guard = nil
	w.closed = true
}

func (w *window) isRaw() bool {
	if w == nil {
		return false
	}
	return w.isSet.Load()
}

// Write shows bytes of the job.
func (w *window) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.modes.Scan(p) {
		w.guard.Undo(w.modes.Reset())
	}
	if len(p) > 0 {
		w.inLine = p[len(p)-1] != '\n'
	}
	return w.out.Write(p)
}

// size is the terminal's, or the usual one where it does not know it.
func (w *window) size() (rows, cols int) {
	rows, cols, _ = term.Size(w.in)
	if rows == 0 || cols == 0 {
		return usualRows, usualCols
	}
	return rows, cols
}

// fit tells the job the size.
func (w *window) fit() { w.resize(w.size()) }

// redraw has the job draw its screen again, by a size that differs for a moment.
func (w *window) redraw() {
	rows, cols := w.size()
	if rows > 1 {
		w.resize(rows-1, cols)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.nudge != nil {
		w.nudge.Stop()
	}
	w.nudge = time.AfterFunc(redrawAfter, w.fit)
}

// watch handles the signals that concern only the terminal here.
func (w *window) watch() (stop func()) {
	if len(ofWindow) == 0 {
		return func() {}
	}
	ch, done := make(chan os.Signal, 16), make(chan struct{})
	signal.Notify(ch, ofWindow...)
	go func() {
		defer close(done)
		for s := range ch {
			w.handle(signalName(s))
		}
	}()
	return func() {
		signal.Stop(ch)
		close(ch)
		<-done
		if w.suspended { // and SIGCONT came too late
			w.resume()
		}
	}
}

func (w *window) handle(name string) {
	switch name {
	case "WINCH":
		w.fit()
	case "TSTP":
		w.suspend()
		stopSelf()
	case "CONT":
		w.resume()
	}
}

// suspend gives the terminal back while this process is stopped. The job's bytes wait: nothing
// else may be written before resume.
func (w *window) suspend() {
	w.mu.Lock()
	if w.suspended || w.closed {
		w.mu.Unlock()
		return
	}
	w.suspended = true
	if undo := w.modes.Reset(); undo != "" && w.out.Terminal() {
		io.WriteString(w.out, undo)
	}
	if w.raw != nil {
		w.raw.Restore()
	}
}

// resume takes the terminal again, whoever stopped this process: a shell may have set it anew.
func (w *window) resume() {
	if !w.suspended { // only the goroutine that suspends resumes
		w.mu.Lock()
	}
	if w.raw != nil {
		w.raw.Restore() // what is to be restored in the end stays what it was in the beginning
		if raw, err := term.MakeRaw(w.in, w.guard); err == nil {
			w.raw = raw
		}
		if w.out.Terminal() {
			io.WriteString(w.out, w.modes.Again())
		}
	}
	w.suspended = false
	raw := w.raw != nil
	w.mu.Unlock()
	if raw {
		w.redraw()
	}
}

// again switches the screen back to the modes that it had when it was left.
func (w *window) again(modes string) {
	if modes == "" || !w.out.Terminal() {
		return
	}
	_, _ = w.Write([]byte(modes))
}

// state returns what switches on again the modes that the job chose.
func (w *window) state() string {
	if w == nil {
		return ""
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.modes.Again()
}

// say writes a line of ours between the job's bytes.
func (w *window) say(f *term.Output, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	end := "\n"
	if w.raw != nil && f.Terminal() {
		end = "\r\n"
		if w.inLine && !w.modes.Alternate() {
			text = end + text
		}
		w.inLine = false
	}
	io.WriteString(f, text+end)
}

// notice shows a line where it disturbs least: at the bottom of a screen that the job draws and
// can draw again, else below the line in which the cursor is.
func (w *window) notice(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.raw == nil || !w.modes.Whole() || !w.out.Terminal() {
		return
	}
	rows, cols, _ := term.Size(w.out.File())
	if runes := []rune(text); cols > 1 && len(runes) > cols-1 {
		text = string(runes[:cols-1])
	}
	if !w.noticed && !w.modes.Alternate() {
		io.WriteString(w.out, "\n\x1b[A") // make room below without leaving the column
	}
	w.noticed = true
	io.WriteString(w.out, w.noticeAt(rows)+"\x1b[0;7m"+text+"\x1b[0m\x1b8")
}

// noticeAt goes where the notice is and clears it.
func (w *window) noticeAt(rows int) string {
	if w.modes.Alternate() && rows > 0 {
		return fmt.Sprintf("\x1b7\x1b[%d;1H\x1b[2K", rows)
	}
	return "\x1b7\n\r\x1b[2K"
}

func (w *window) clearNotice() {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.noticed {
		return
	}
	w.noticed = false
	rows, _, _ := term.Size(w.out.File())
	io.WriteString(w.out, w.noticeAt(rows)+"\x1b8")
}
