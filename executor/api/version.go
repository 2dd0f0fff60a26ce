// Package api is what crosses the wire between a client and an executor: paths, documents,
// frames, error kinds and the version that both sides compare first.
package api

// Version is the version of the API. Each bump gets a dated line:
//
//	1  2026-11-21  first version
const Version = 1

// MinVersion is the oldest version of the other side that this code works with.
const MinVersion = 1

// ControlVersion is the version of the protocol on a supervisor's control socket.
//
//	1  2026-11-21  first version
const ControlVersion = 1

// Headers of the first exchange. Every request and every reply carries HeaderVersion;
// every reply carries HeaderStore and HeaderExecutor as well.
const (
	HeaderVersion  = "Cyclops-Api"
	HeaderStore    = "Cyclops-Store"
	HeaderExecutor = "Cyclops-Executor"
)

// Capabilities that an executor may announce in Hello.
const (
	CapIsolated   = "workspace.isolated"
	CapConcurrent = "workspace.concurrent"
	CapBeside     = "workspace.beside"
	CapWatch      = "jobs.watch"
	CapLogPages   = "log.pages"
)

// UpgradeProtocol is the token that turns an exchange into a stream of frames.
const UpgradeProtocol = "cyclops-stream/1"

// ForwardProtocol is the token that turns an exchange into a TCP connection from the job's host.
const ForwardProtocol = "cyclops-forward/1"

// Paths of the API. {id} stands for a whole job id.
const (
	PathHello       = "/v1/hello"              // GET → Hello
	PathStream      = "/v1/stream"             // POST with Upgrade → frames
	PathJobs        = "/v1/jobs"               // GET ?state=&name=&prefix=&workspace=&limit=&cursor=&like=&owner=&project=&text=&since=&until=&after= → JobPage
	PathJob         = "/v1/jobs/{id}"          // GET → JobInfo; DELETE → Removed
	PathManifest    = "/v1/jobs/{id}/manifest" // GET → the manifest's bytes
	PathSpec        = "/v1/jobs/{id}/job"      // GET → the Job document, values of variables left out
	PathCancel      = "/v1/jobs/{id}/cancel"   // POST CancelRequest → JobInfo
	PathRetry       = "/v1/jobs/{id}/retry"    // POST RetryRequest → JobInfo
	PathPriority    = "/v1/jobs/{id}/priority" // POST PriorityRequest → JobInfo
	PathMissing     = "/v1/objects/missing"    // POST MissingRequest → MissingReply
	PathEnvironment = "/v1/environment"        // POST → EnvironmentReport; reads the login environment again
	PathDrain       = "/v1/drain"              // POST DrainRequest → Hello
	PathForward     = "/v1/jobs/{id}/forward"  // POST ?to=HOST:PORT with Upgrade: ForwardProtocol → the bytes of a TCP connection from the job's host
	PathLog         = "/v1/jobs/{id}/log"      // GET ?from=&back=&limit=&stream= → Log frames, LogPage, End
	PathLogFind     = "/v1/jobs/{id}/log/find" // GET ?text=&problems=&from=&backward=&stream=&count=&max= → LogFound
	PathFiles       = "/v1/jobs/{id}/files"    // GET ?glob= → FileList; files of the job's workspace that the job wrote
	PathRemove      = "/v1/remove"             // POST RemoveRequest → RemoveReply
	PathPin         = "/v1/pin"                // POST PinRequest → PinReply
	PathGC          = "/v1/gc"                 // POST GCRequest → GCReply
	PathCheck       = "/v1/check"              // GET ?full= → CheckReport
	PathShutdown    = "/v1/shutdown"           // POST → Hello; the daemon leaves, supervisors stay
)
