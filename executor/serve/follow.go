//go:build linux

package serve

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/engine"
	"github.com/cyclops-fpga/cyclops/executor/joblog"
)

// logPiece is how many bytes of a log ride in one frame at most.
const logPiece = 256 << 10

// maxSilence is how long a client that follows a job may say nothing. One that is there says
// something when it was quiet for seconds, and answers pings; of one whose line was cut nobody may
// ever tell, and its sshd keeps the connection for hours. One that was stopped for longer, or
// whose output nobody took, connects again and goes on where it was.
const maxSilence = 3 * time.Minute

// follower tells one client what happens to a job.
type follower struct {
	*stream
	want   api.Follow
	only   uint8 // stream of the log; 0: both
	watch  *engine.Watch
	input  *relay
	credit *credit

	told  uint64 // version of the last State
	log   *joblog.Reader
	next  int64 // offset in the log
	found bool  // next is where the client wants to begin
}

// follow serves a client until the job has ended and the client has everything it asked for.
func (st *stream) follow(want api.Follow, accepted *api.Accepted) error {
	if err := checkFollow(want); err != nil {
		return err
	}
	only, err := streamOf(want.Stream)
	if err != nil {
		return err
	}
	watch, err := st.s.Engine.Watch(st.ctx, want.Job)
	if err != nil {
		return err
	}
	defer watch.Close()
	f := &follower{stream: st, want: want, only: only, watch: watch, credit: newCredit()}
	defer f.closeLog()
	f.input = newRelay(f)
	if want.Input != "" {
		watch.Claim(want.Input)
	}
	if accepted != nil {
		if err := st.w.JSON(api.FrameAccepted, accepted); err != nil {
			watch.Ask() // others' input waits for the answer to its claim
			return err
		}
	}
	if !want.Once { // whoever reads a log page by page reads as slowly as they like, and does not come back
		st.silence = maxSilence
	}
	st.heard = make(chan struct{})
	go func() {
		defer close(st.heard)
		f.input.hear()
	}()
	return f.tell()
}

func (f *follower) closeLog() {
	if f.log != nil {
		f.log.Close()
	}
}

// tell sends what changes until there is nothing more to say.
func (f *follower) tell() error {
	asking := time.NewTicker(maxSilence / 3)
	defer asking.Stop()
	for {
		v := f.watch.View()
		if err := errors.Join(f.tellState(v), f.input.tell(v)); err != nil {
			return err
		}
		drained, err := f.tellLog(v)
		if err != nil {
			return err
		}
		if drained && (v.Ended || f.want.Once) {
			return f.tellEnd(v)
		}
		if err := f.await(drained, asking.C); err != nil {
			return err
		}
	}
}

// await waits for a change, or for credit when the log waits for that. It asks for a sign of life
// meanwhile: a client that always hears something never asks itself.
func (f *follower) await(drained bool, asking <-chan time.Time) error {
	granted := f.credit.granted
	if drained {
		granted = nil
	}
	select {
	case <-f.watch.Changed():
	case <-granted:
	case <-asking:
		return f.w.Write(api.FramePing)
	case err := <-f.input.failed:
		return err
	case <-f.ctx.Done():
		return f.ctx.Err()
	}
	return nil
}

func (f *follower) tellState(v engine.View) error {
	if v.Version == f.told {
		return nil
	}
	f.told = v.Version
	v.Info.LogSize = v.LogSize
	return f.w.JSON(api.FrameState, v.Info)
}

// tellLog sends what there is of the log as far as credit reaches; drained means that the client has all of it.
func (f *follower) tellLog(v engine.View) (drained bool, err error) {
	if !f.want.Log {
		return true, nil
	}
	if v.LogSize == 0 {
		f.begin(f.want.From) // all that comes is new
		return true, nil
	}
	if err := f.openLog(v.LogSize); err != nil {
		return v.Ended, err
	}
	buf, done := f.s.piece(v.LogSize - f.next)
	defer done()
	for f.log != nil && f.next < v.LogSize {
		room := f.credit.room(f.next)
		if room == 0 {
			return false, nil
		}
		chunk, next, err := f.log.Read(f.next, v.LogSize, f.only, buf[:min(room, v.LogSize-f.next, int64(len(buf)))])
		if errors.Is(err, io.EOF) {
			f.next = v.LogSize
			break
		}
		if err != nil {
			return false, err
		}
		if err := f.w.Log(chunk); err != nil {
			return false, err
		}
		f.next = next
		f.credit.spent(next)
	}
	return true, nil
}

// smallPiece is up to how many bytes of a log memory of their own is taken for.
const smallPiece = 16 << 10

// piece returns room for the next of n bytes, and what gives it back: whoever follows a quiet job
// keeps no memory, and who follows a loud one does not take some thousand times a second.
func (s *Server) piece(n int64) ([]byte, func()) {
	if n <= smallPiece {
		return make([]byte, max(n, 0)), func() {}
	}
	p, ok := s.pieces.Get().(*[logPiece]byte)
	if !ok {
		p = new([logPiece]byte)
	}
	return p[:], func() { s.pieces.Put(p) }
}

// openLog opens the log and finds where the client wants to begin.
func (f *follower) openLog(size int64) error {
	if f.log == nil {
		log, err := joblog.Open(f.s.Data, f.want.Job)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		f.log = log
	}
	if f.found {
		return nil
	}
	from := f.want.From
	if f.want.Tail > 0 {
		tail, err := f.log.OffsetOfTail(f.want.Tail, size, f.only)
		if err != nil {
			return err
		}
		from = tail
	}
	if f.want.Since > 0 {
		since, err := f.log.OffsetSince(time.Unix(0, f.want.Since), size)
		if err != nil {
			return err
		}
		from = max(from, since)
	}
	f.begin(from)
	return nil
}

// begin says once where the client's log begins.
func (f *follower) begin(offset int64) {
	if !f.found {
		f.found, f.next = true, offset
		f.credit.begin(offset)
	}
}

// tellEnd sends the record of an ended job and its small outputs.
func (f *follower) tellEnd(v engine.View) error {
	if !v.Ended {
		return f.w.Write(api.FrameEnd)
	}
	location := f.s.Data.Manifest(f.want.Job)
	data, err := f.s.Engine.Record(f.ctx, f.want.Job)
	if err != nil {
		return fmt.Errorf("unable to read the job's manifest: %w", err)
	}
	result := api.Result{Manifest: json.RawMessage(data), Location: location, Clock: time.Now().UTC(), LogSize: v.LogSize}
	if err := f.tellResult(result); err != nil {
		return err
	}
	if err := f.tellArtifacts(data); err != nil {
		return err
	}
	return f.w.Write(api.FrameEnd)
}

// tellResult sends the record as it is on disk: encoding it again would change its digest. One
// that is too long for a frame is left out, and the client asks for it.
func (f *follower) tellResult(r api.Result) error {
	record := r.Manifest
	if len(record) > api.MaxFrame-4096 {
		record = json.RawMessage("null")
	}
	r.Manifest = nil
	rest, err := json.Marshal(r)
	if err != nil {
		return err
	}
	const empty = `{"manifest":null`
	return f.w.Write(api.FrameResult, []byte(empty[:len(empty)-len("null")]), record, rest[len(empty):])
}
