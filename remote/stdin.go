package remote

import (
	"io"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// stdinPiece is how many bytes of input ride in one frame: on a slow line each one's
// acknowledgement is a sign of life.
const stdinPiece = 16 << 10

// stdin is the job's standard input, which outlives sessions: bytes are kept until the job has
// taken them. It is a part of voice, under its lock.
type stdin struct {
	kept  []byte // not acknowledged yet, sent or not
	from  int64  // offset of kept; -1: the host has not said yet where this input begins
	sent  int64  // offset up to which the present session has sent
	mine  bool   // the host takes this input, as far as the present session knows
	fresh bool   // and nothing was lost: its first word of it is about what the present session sends anyway
	ended bool   // nothing follows kept
	told  bool   // and the present session has said so
	err   error  // the job takes no more
}

// begin starts a session. What the last one sent counts once the host says that it has come.
func (in *stdin) begin(fresh bool) {
	in.mine, in.fresh, in.told = fresh, fresh, false
	in.sent = max(in.from, 0)
}

// room is how many bytes may be taken from whoever writes.
func (in *stdin) room() int { return api.StdinWindow - len(in.kept) }

// next returns what is to be sent now.
func (in *stdin) next() (off int64, data []byte) {
	if !in.mine || in.err != nil {
		return 0, nil
	}
	rest := in.kept[in.sent-in.from:]
	return in.sent, rest[:min(len(rest), stdinPiece)]
}

// over tells whether the end is to be sent now, and where it is.
func (in *stdin) over() (int64, bool) {
	end := in.from + int64(len(in.kept))
	return end, in.mine && in.err == nil && in.ended && !in.told && in.sent == end
}

// drop forgets what lies before off, which the job has.
func (in *stdin) drop(off int64) {
	n := min(off-in.from, int64(len(in.kept)))
	if in.from < 0 || n <= 0 {
		return
	}
	in.kept = append(in.kept[:0], in.kept[n:]...)
	in.from += n
	in.sent = max(in.sent, in.from)
}

// owned goes on at received, up to which the host has this input. It fails when that cannot be:
// another client's input lies between.
func (in *stdin) owned(received int64) bool {
	if in.from < 0 {
		in.from = received
	}
	if received < in.from || received > in.from+int64(len(in.kept)) {
		return false
	}
	in.drop(received)
	if in.fresh {
		in.fresh = false
		return true
	}
	in.sent, in.mine, in.told = received, true, false
	return true
}

// stdinWriter is the side of whoever writes.
type stdinWriter struct{ v *voice }

// Write takes p, waiting while StdinWindow bytes are unacknowledged.
func (s stdinWriter) Write(p []byte) (int, error) {
	v := s.v
	v.mu.Lock()
	defer v.mu.Unlock()
	written := 0
	for {
		if v.in.err != nil || v.in.ended {
			return written, io.ErrClosedPipe
		}
		n := min(len(p)-written, v.in.room())
		v.in.kept = append(v.in.kept, p[written:written+n]...)
		if written += n; n > 0 {
			v.change.Broadcast()
		}
		if written == len(p) {
			return written, nil
		}
		v.change.Wait()
	}
}

// Close tells the job that its input ends here.
func (s stdinWriter) Close() error {
	s.v.mu.Lock()
	defer s.v.mu.Unlock()
	s.v.in.ended = true
	s.v.change.Broadcast()
	return nil
}
