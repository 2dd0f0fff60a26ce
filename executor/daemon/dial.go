//go:build linux

package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/layout"
)

// HandThrough starts a daemon if none answers, says on out who it is, as one line of JSON, and
// then joins in and out to one connection with it until either side ends.
func HandThrough(ctx context.Context, d layout.Data, self []string, in io.ReadCloser, out io.Writer) error {
	conn, hello, err := reach(ctx, d, self)
	if err != nil {
		return errors.Join(err, printHello(out, sorry(d, err)))
	}
	defer conn.Close()
	hello.Status = nil
	if err := printHello(out, hello); err != nil {
		return err
	}
	return join(conn.(*net.UnixConn), in, out)
}

// replaced bounds how often a daemon may leave between its being found and its answering: as often as
// somebody who upgrades it again and again can make it.
const replaced = 10

// reach starts a daemon if none answers, asks it who it is, and connects. One that leaves meanwhile
// is followed by another.
func reach(ctx context.Context, d layout.Data, self []string) (conn net.Conn, hello api.Hello, err error) {
	for range replaced {
		if err = Ensure(ctx, d, self); err != nil {
			return nil, hello, err
		}
		if hello, err = Hello(ctx, d); err == nil {
			conn, err = Dial(ctx, d)
		}
		if err == nil || !gone(err) || ctx.Err() != nil {
			break
		}
	}
	return conn, hello, err
}

// gone tells whether a daemon left before it had answered.
func gone(err error) bool {
	var opened *net.OpError
	return api.KindOf(err) == api.Unreachable || errors.As(err, &opened) || errors.Is(err, io.ErrUnexpectedEOF)
}

func printHello(out io.Writer, h api.Hello) error {
	line, err := json.Marshal(h)
	if err != nil {
		return err
	}
	_, err = out.Write(append(line, '\n'))
	return err
}

// sorry is a Hello that says why there is no daemon.
func sorry(d layout.Data, err error) api.Hello {
	var e *api.Error
	if !errors.As(err, &e) {
		e = &api.Error{Kind: api.Internal, Message: err.Error()}
	}
	return api.Hello{API: api.Version, MinAPI: api.MinVersion, Executor: api.BuildVersion(), Data: string(d), PID: os.Getpid(), Clock: time.Now().UTC(), Error: e}
}

// join copies both ways. The end of in is passed on; the end of the connection ends everything,
// since nobody is left to speak to and a read of in may never return.
func join(conn *net.UnixConn, in io.ReadCloser, out io.Writer) error {
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = io.Copy(conn, in)
		_ = conn.CloseWrite()
	}()
	_, err := io.Copy(out, conn)
	conn.Close()
	in.Close()
	select {
	case <-sent:
	case <-time.After(100 * time.Millisecond):
		// in cannot be interrupted; the process is about to end and takes the read with it.
	}
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("unable to hand through: %w", err)
	}
	return nil
}

// call makes one request to the daemon of a data directory.
func call(ctx context.Context, d layout.Data, method, path string) (api.Hello, error) {
	var h api.Hello
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return Dial(ctx, d) }}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, method, "http://executor"+path, nil)
	if err != nil {
		return h, err
	}
	request.Header.Set(api.HeaderVersion, strconv.Itoa(api.Version))
	response, err := transport.RoundTrip(request)
	if err != nil {
		return h, api.Errorf(api.Unreachable, "", "unable to ask the daemon: %w", err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return h, fmt.Errorf("unable to ask the daemon: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return h, decodeError(string(data))
	}
	return h, json.Unmarshal(data, &h)
}

// Hello asks the daemon of a data directory who it is.
func Hello(ctx context.Context, d layout.Data) (api.Hello, error) {
	return call(ctx, d, http.MethodGet, api.PathHello)
}

// stopLimit is how long Stop waits for a start that is under way.
const stopLimit = 10 * time.Second

// Stop ends the daemon of a data directory and returns when it is gone; its jobs go on. It
// tells whether there was one. One that is being started is ended too, once it answers: who has made
// another executor the current one would else be left with a daemon of the one before.
func Stop(ctx context.Context, d layout.Data) (bool, error) {
	waiting, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	if lock, err := flock(waiting, startLock(d)); err == nil { // without it, there is none to wait for, or one that hangs
		defer lock.Close()
	}
	return stop(ctx, d)
}

func stop(ctx context.Context, d layout.Data) (bool, error) {
	if !answers(ctx, d) {
		return false, nil
	}
	if _, err := call(ctx, d, http.MethodPost, api.PathShutdown); err != nil {
		return true, err
	}
	lock, err := flock(ctx, d.Lock())
	if err != nil {
		return true, err
	}
	return true, lock.Close()
}

// decodeError reads an api.Error, or takes the text as it is.
func decodeError(text string) error {
	e := new(api.Error)
	if err := json.Unmarshal([]byte(text), e); err != nil || e.Message == "" {
		return errors.New(string(bytes.TrimSpace([]byte(text))))
	}
	return e
}
