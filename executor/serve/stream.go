//go:build linux

package serve

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/engine"
	"github.com/cyclops-fpga/cyclops/executor/inputs"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/failpoint"
)

// maxSubmits bounds how often one stream may submit: each Missing names more of a tree, whose
// depth is bounded too.
const maxSubmits = 64

// farewell is how long the other side has to read the last frames before its own are thrown away.
const farewell = 5 * time.Second

// stream turns an exchange into frames.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	if !strings.EqualFold(r.Header.Get("Upgrade"), api.UpgradeProtocol) {
		writeError(w, api.Errorf(api.Invalid, "", "a stream needs Upgrade: %s", api.UpgradeProtocol))
		return
	}
	s.streams.Add(1)
	defer s.streams.Done()
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		writeError(w, fmt.Errorf("unable to begin stream: %w", err))
		return
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if _, err := io.WriteString(conn, s.switching(api.UpgradeProtocol)); err != nil {
		return
	}
	st := &stream{s: s, ctx: ctx, cancel: cancel, conn: conn, r: buffered.Reader, w: api.NewFrameWriter(conn)}
	if err := st.run(); err != nil && ctx.Err() == nil {
		_ = st.w.Error(err)
	}
	st.leave()
}

func (s *Server) switching(protocol string) string {
	return "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + protocol + "\r\n" +
		api.HeaderVersion + ": " + strconv.Itoa(api.Version) + "\r\n" + api.HeaderStore + ": " + s.StoreID + "\r\n" +
		api.HeaderExecutor + ": " + api.BuildVersion() + "\r\n\r\n"
}

// stream is one client that submits or follows.
type stream struct {
	s      *Server
	ctx    context.Context
	cancel context.CancelFunc
	conn   net.Conn
	r      *bufio.Reader
	w      *api.FrameWriter
	spool  *inputs.Spool
	heard  chan struct{} // closed when the follower's reader has ended

	mu      sync.Mutex    // guards the time until which is read
	silence time.Duration // that is allowed; 0: any, or the stream is over
}

// leave ends the sending side and waits for the other side to end its own, else the kernel
// would take back frames that it has not read yet.
func (st *stream) leave() {
	if half, ok := st.conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() != nil {
		return
	}
	st.mu.Lock()
	st.silence = 0
	err := st.conn.SetReadDeadline(time.Now().Add(farewell))
	st.mu.Unlock()
	if err != nil {
		return
	}
	if st.heard != nil {
		<-st.heard
	}
	_, _ = io.Copy(io.Discard, st.r)
}

// alive gives a client more time, after a sign of life.
func (st *stream) alive() {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.silence > 0 {
		_ = st.conn.SetReadDeadline(time.Now().Add(st.silence)) // who reads learns of a broken connection
	}
}

// run obeys the first frames: a Submit with what belongs to it, or a Follow.
func (st *stream) run() error {
	defer func() {
		if st.spool != nil {
			st.spool.Discard()
		}
	}()
	var files []string
	buf := make([]byte, 64<<10)
	for submits := 0; submits < maxSubmits; {
		f, err := api.ReadFrame(st.r, buf)
		if err != nil {
			return st.unheard(err)
		}
		switch f.Type {
		case api.FramePing:
			err = st.w.Write(api.FramePong, f.Payload)
		case api.FramePack:
			err = st.pack(f)
		case api.FramePackEnd:
			files, err = st.packEnd(files)
		case api.FrameFollow:
			var follow api.Follow
			if err := f.JSON(&follow); err != nil {
				return err
			}
			return st.follow(follow, nil)
		case api.FrameWatch:
			return st.watch()
		case api.FrameSubmit:
			submits++
			done, err := st.submit(f, files)
			if done || err != nil {
				return err
			}
			files = nil
		default:
			err = api.Errorf(api.Invalid, "", "a stream cannot begin with a frame of type %d", f.Type)
		}
		if err != nil {
			return err
		}
	}
	return api.Errorf(api.Invalid, "", "the job was submitted %d times on one stream and is still not complete", maxSubmits)
}

// unheard tells a client that left, which needs no answer, from one that cannot be understood.
func (st *stream) unheard(err error) error {
	if _, ok := errors.AsType[*api.Error](err); ok {
		return err
	}
	st.cancel()
	return err
}

func (st *stream) pack(f api.Frame) (err error) {
	if st.spool == nil {
		if st.spool, err = st.s.Inputs.NewSpool(); err != nil {
			return err
		}
	}
	_, err = st.spool.Write(f.Payload)
	return err
}

func (st *stream) packEnd(files []string) ([]string, error) {
	if st.spool == nil {
		return files, api.Errorf(api.Invalid, "", "a pack ended that never began")
	}
	path, err := st.spool.Close()
	st.spool = nil
	return append(files, path), err
}

// submit answers one Submit; served means that the stream has served.
func (st *stream) submit(f api.Frame, files []string) (served bool, err error) {
	var in api.Submit
	if err := f.JSON(&in); err != nil {
		return false, err
	}
	for _, name := range in.Uploads {
		path, err := st.s.Inputs.Upload(name)
		if err != nil {
			return false, err
		}
		files = append(files, path)
	}
	if err := failpoint.At(failpoint.SubmitReceive); err != nil {
		return false, err
	}
	done := st.beating()
	accepted, missing, err := st.s.Engine.Submit(st.ctx, engine.Submission{Job: in.Job, Bases: in.Bases, Files: files})
	done()
	if err != nil {
		return false, err
	}
	if missing != nil {
		return false, st.w.JSON(api.FrameMissing, missing)
	}
	if err := failpoint.At(failpoint.AcceptAnswer); err != nil {
		return true, err
	}
	if in.Follow == nil {
		return true, errors.Join(st.w.JSON(api.FrameAccepted, accepted), st.w.Write(api.FrameEnd))
	}
	in.Follow.Job = accepted.Job.ID
	return true, st.follow(*in.Follow, &accepted)
}

// beat is how often a client whose submit takes long hears that it is being worked on: well
// before it would ask, since nobody reads what it says meanwhile.
const beat = time.Second

// beating gives signs of life until the function it returns is called.
func (st *stream) beating() (done func()) {
	ctx, stop := context.WithCancel(st.ctx)
	var told sync.WaitGroup
	told.Go(func() {
		for every := time.Tick(beat); ; {
			select {
			case <-every:
				_ = st.w.Write(api.FramePong) // who reads learns of a broken line
			case <-ctx.Done():
				return
			}
		}
	})
	return func() { stop(); told.Wait() }
}

// streamOf reads which stream of a log is asked for; 0 means both.
func streamOf(word string) (uint8, error) {
	switch word {
	case "":
		return 0, nil
	case "stdout":
		return api.Stdout, nil
	case "stderr":
		return api.Stderr, nil
	}
	return 0, api.Errorf(api.Invalid, "", "a log has no stream %q", word)
}

// maxInputName bounds what supervisors remember of their clients.
const maxInputName = 128

// checkFollow refuses what no job can answer.
func checkFollow(f api.Follow) error {
	if !manifest.ValidID(f.Job) {
		return api.Errorf(api.Invalid, "", "%q is no whole job id", f.Job)
	}
	if len(f.Input) > maxInputName {
		return api.Errorf(api.Invalid, "", "the name of an input has %d bytes, more than %d", len(f.Input), maxInputName)
	}
	if f.From < 0 || f.Tail < 0 || f.Artifacts < 0 {
		return api.Errorf(api.Invalid, "", "a log cannot be followed from %d, nor its last %d lines", f.From, f.Tail)
	}
	return nil
}
