//go:build linux

// Package serve answers the executor's API: requests in JSON, and streams of frames that submit
// and follow jobs.
package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/user"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/executor/engine"
	"github.com/cyclops-fpga/cyclops/executor/inputs"
	"github.com/cyclops-fpga/cyclops/executor/layout"
)

// Options says what a Server serves. Every field is needed.
type Options struct {
	Data     layout.Data
	Socket   string // as clients may use it; empty: too long for them
	StoreID  string
	Host     string
	Engine   *engine.Engine
	Inputs   *inputs.Inputs
	Shutdown func() // asked for by a client
	Log      *slog.Logger
}

// Server answers the API.
type Server struct {
	Options
	http    *http.Server
	user    string
	ctx     context.Context // ends with Close
	stop    context.CancelFunc
	streams sync.WaitGroup
	spares  spares
	pieces  sync.Pool // of *[logPiece]byte

	forwards forwards
}

// New returns a Server; Serve makes it answer.
func New(o Options) *Server {
	s := &Server{Options: o}
	if u, err := user.Current(); err == nil {
		s.user = u.Username
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.http = &http.Server{
		// No ReadHeaderTimeout: a link keeps a spare exchange open, silent until it is needed.
		Handler:   s.checkVersion(s.routes()),
		ErrorLog:  slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
		ConnState: s.spares.note,
	}
	return s
}

// Serve answers at l until Close.
func (s *Server) Serve(l net.Listener) error {
	err := s.http.Serve(l)
	if !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("unable to serve: %w", err)
	}
	return nil
}

// finishing is how long requests under way may take when the daemon leaves.
const finishing = 5 * time.Second

// Close ends every stream, lets requests finish, and returns when none is left.
func (s *Server) Close() {
	s.stop()
	s.spares.close()
	ctx, cancel := context.WithTimeout(context.Background(), finishing)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		s.http.Close()
	}
	s.streams.Wait()
}

// checkVersion compares versions before anything else is looked at.
func (s *Server) checkVersion(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.headers(w.Header())
		theirs, err := strconv.Atoi(r.Header.Get(api.HeaderVersion))
		if err != nil {
			writeError(w, api.Errorf(api.Incompatible, "", "the request names no version of the API in %s; this executor speaks %d", api.HeaderVersion, api.Version))
			return
		}
		if theirs < api.MinVersion || theirs > api.Version {
			writeError(w, incompatible(theirs))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func incompatible(theirs int) *api.Error {
	hint := "cyclops install HOST brings it up to date; on this machine, cyclops executor stop does"
	if theirs < api.MinVersion {
		hint = "install a newer cyclops on the client"
	}
	return api.Errorf(api.Incompatible, hint, "the client speaks version %d of the API, executor %s speaks %d to %d",
		theirs, api.BuildVersion(), api.MinVersion, api.Version)
}

func (s *Server) headers(h http.Header) {
	h.Set(api.HeaderVersion, strconv.Itoa(api.Version))
	h.Set(api.HeaderStore, s.StoreID)
	h.Set(api.HeaderExecutor, api.BuildVersion())
}

// Hello says who answers.
func (s *Server) Hello() api.Hello {
	h := api.Hello{
		API: api.Version, MinAPI: api.MinVersion, Capabilities: []string{api.CapIsolated, api.CapConcurrent, api.CapBeside, api.CapWatch, api.CapLogPages},
		Executor: api.BuildVersion(), Store: s.StoreID, Socket: s.Socket, Data: string(s.Data), Host: s.Host, User: s.user,
		OS: runtime.GOOS, Arch: runtime.GOARCH, PID: os.Getpid(), Clock: time.Now().UTC(),
	}
	h.Status = s.Engine.Status()
	fillStatus(h.Status, s.Data)
	return h
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		return // the client has gone
	}
}

// statuses are the kinds that plain HTTP has a number for.
var statuses = map[api.Kind]int{
	api.Usage: http.StatusBadRequest, api.Invalid: http.StatusBadRequest, api.NotFound: http.StatusNotFound,
	api.Ambiguous: http.StatusConflict, api.Conflict: http.StatusConflict, api.Incompatible: http.StatusHTTPVersionNotSupported,
	api.NoSpace: http.StatusInsufficientStorage, api.Draining: http.StatusServiceUnavailable, api.Refused: http.StatusForbidden,
	api.Corrupt: http.StatusUnprocessableEntity, api.Unreachable: http.StatusBadGateway,
}

func writeError(w http.ResponseWriter, err error) {
	e := api.AsError(err)
	status, ok := statuses[e.Kind]
	if !ok {
		status = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(e); err != nil {
		return // the client has gone
	}
}

// maxRequest bounds a request's body in bytes: 64 MiB of digests name two million objects.
const maxRequest = 64 << 20

func readJSON(r *http.Request, v any) error {
	data, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxRequest))
	if err != nil {
		return api.Errorf(api.Invalid, "", "unable to read request: %w", err)
	}
	if len(data) == 0 {
		return nil
	}
	if err := json.Unmarshal(data, v); err != nil {
		return api.Errorf(api.Invalid, "", "unable to read request: %w", err)
	}
	return nil
}
