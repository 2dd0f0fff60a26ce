//go:build linux

package serve

import (
	"context"
	"fmt"
	"net/http"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
)

// routes binds the API's paths.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+api.PathHello, answer(func(context.Context, *http.Request) (any, error) { return s.Hello(), nil }))
	mux.HandleFunc("POST "+api.PathStream, s.stream)
	mux.HandleFunc("GET "+api.PathJobs, answer(s.list))
	mux.HandleFunc("GET "+api.PathJob, answer(func(ctx context.Context, r *http.Request) (any, error) {
		return s.Engine.Show(ctx, r.PathValue("id"))
	}))
	mux.HandleFunc("DELETE "+api.PathJob, answer(func(ctx context.Context, r *http.Request) (any, error) {
		return s.removeOne(ctx, r.PathValue("id"))
	}))
	mux.HandleFunc("POST "+api.PathRemove, answer(asked(func(ctx context.Context, _ string, in api.RemoveRequest) (any, error) {
		return s.Engine.Remove(ctx, in.Jobs)
	})))
	mux.HandleFunc("POST "+api.PathPin, answer(asked(func(ctx context.Context, _ string, in api.PinRequest) (any, error) {
		return s.Engine.Pin(ctx, in)
	})))
	mux.HandleFunc("POST "+api.PathGC, answer(asked(func(ctx context.Context, _ string, in api.GCRequest) (any, error) {
		return s.Engine.GC(ctx, in)
	})))
	mux.HandleFunc("GET "+api.PathManifest, s.manifest)
	mux.HandleFunc("GET "+api.PathSpec, answer(func(ctx context.Context, r *http.Request) (any, error) {
		return s.Engine.Spec(ctx, r.PathValue("id"))
	}))
	mux.HandleFunc("GET "+api.PathLog, s.logPage)
	mux.HandleFunc("GET "+api.PathLogFind, answer(s.logFind))
	mux.HandleFunc("GET "+api.PathFiles, answer(s.files))
	mux.HandleFunc("POST "+api.PathCancel, answer(asked(func(ctx context.Context, id string, in api.CancelRequest) (any, error) {
		return s.Engine.Cancel(ctx, id, in)
	})))
	mux.HandleFunc("POST "+api.PathRetry, answer(asked(func(ctx context.Context, id string, in api.RetryRequest) (any, error) {
		return s.Engine.Retry(ctx, id, in)
	})))
	mux.HandleFunc("POST "+api.PathPriority, answer(asked(func(ctx context.Context, id string, in api.PriorityRequest) (any, error) {
		return s.Engine.Reprioritise(ctx, id, in.Priority)
	})))
	mux.HandleFunc("POST "+api.PathForward, s.forward)
	mux.HandleFunc("POST "+api.PathMissing, answer(asked(func(ctx context.Context, _ string, in api.MissingRequest) (any, error) {
		return s.Inputs.Missing(ctx, in)
	})))
	mux.HandleFunc("POST "+api.PathEnvironment, answer(func(ctx context.Context, _ *http.Request) (any, error) {
		return s.Engine.Environment(ctx), nil
	}))
	mux.HandleFunc("POST "+api.PathDrain, answer(asked(func(ctx context.Context, _ string, in api.DrainRequest) (any, error) {
		err := s.Engine.Drain(ctx, in.Draining)
		return s.Hello(), err
	})))
	mux.HandleFunc("GET "+api.PathCheck, answer(s.check))
	mux.HandleFunc("POST "+api.PathShutdown, s.shutdown)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, api.Errorf(api.NotFound, "", "the API has no %s %s", r.Method, r.URL.Path))
	})
	return mux
}

// removeOne is what clients from before PathRemove ask for.
func (s *Server) removeOne(ctx context.Context, id string) (any, error) {
	reply, err := s.Engine.Remove(ctx, []string{id})
	if len(reply.Failed) > 0 {
		return nil, reply.Failed[0].Error
	}
	if err != nil {
		return nil, err
	}
	return reply.Removed[0], nil
}

// answer writes what fn returns.
func answer(fn func(context.Context, *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := fn(r.Context(), r)
		if err != nil {
			writeError(w, err)
			return
		}
		writeJSON(w, v)
	}
}

// asked reads the request's document first.
func asked[T any](fn func(ctx context.Context, id string, in T) (any, error)) func(context.Context, *http.Request) (any, error) {
	return func(ctx context.Context, r *http.Request) (any, error) {
		var in T
		if err := readJSON(r, &in); err != nil {
			return nil, err
		}
		return fn(ctx, r.PathValue("id"), in)
	}
}

// shutdown answers before the daemon leaves.
func (s *Server) shutdown(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Connection", "close")
	writeJSON(w, s.Hello())
	s.Shutdown()
}

func (s *Server) manifest(w http.ResponseWriter, r *http.Request) {
	info, err := s.Engine.Show(r.Context(), r.PathValue("id"))
	if err != nil {
		writeError(w, err)
		return
	}
	data, err := s.Engine.Record(r.Context(), info.ID)
	switch {
	case err != nil && !info.State.Ended():
		writeError(w, api.Errorf(api.Conflict, "cyclops wait "+info.ID+" waits for it", "job %s is %s and has no manifest yet", info.ID, info.State))
	case err != nil:
		writeError(w, fmt.Errorf("unable to read manifest: %w", err))
	default:
		w.Header().Set("Content-Type", manifest.MediaType)
		_, _ = w.Write(data)
	}
}
