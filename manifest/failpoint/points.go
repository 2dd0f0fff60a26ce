// Package failpoint names the steps of a job's way that must hold, so that tests can break each one.
// A build without the tag failpoints has no faults and pays nothing for the names.
package failpoint

// Point names one step; a fault strikes before it, in its place.
type Point string

// The steps of a client and its link.
const (
	ClientIndex    Point = "client.index"    // the stat index of a tree is saved
	ClientJournal  Point = "client.journal"  // a job is noted in the user's journal
	ClientUpload   Point = "client.upload"   // a stripe of a pack is uploaded
	ClientSubmit   Point = "client.submit"   // the submit is sent
	ClientAnswer   Point = "client.answer"   // the answer to it is read
	ClientMemory   Point = "client.memory"   // what the host acknowledged is remembered
	ClientFrame    Point = "client.frame"    // a frame of a followed job is read
	ClientArtifact Point = "client.artifact" // bytes of an output are written here
	ClientPlace    Point = "client.place"    // an output takes its place
	ClientPlaced   Point = "client.placed"   // what was put there is noted
	ClientFetched  Point = "client.fetched"  // the file of a large output is begun
	LinkListen     Point = "link.listen"     // the link's socket is made
	LinkDial       Point = "link.dial"       // the link connects to the host
	LinkChannel    Point = "link.channel"    // a channel is opened for a client
)

// The steps of the daemon.
const (
	DaemonLock      Point = "daemon.lock"      // the data directory is taken
	DaemonID        Point = "daemon.id"        // the store's id is written
	DaemonStore     Point = "daemon.store"     // the database is opened
	DaemonListen    Point = "daemon.listen"    // the API's socket is made
	SalvageKeep     Point = "salvage.keep"     // a damaged database is copied aside
	SalvageTake     Point = "salvage.take"     // what is sound of it is taken over
	SalvageDrop     Point = "salvage.drop"     // it goes
	SalvageRename   Point = "salvage.rename"   // the new one takes its place
	RebuildCommit   Point = "rebuild.commit"   // jobs that only their directories have are indexed
	RebuildInputs   Point = "rebuild.inputs"   // and what their snapshots draw on is looked up
	StoreBegin      Point = "store.begin"      // a transaction begins
	StoreCommit     Point = "store.commit"     // it is committed
	SubmitReceive   Point = "submit.receive"   // a submit has come whole
	SpoolCreate     Point = "spool.create"     // the file of an inline pack is made
	SpoolWrite      Point = "spool.write"      // a piece of it is written
	PackVerify      Point = "pack.verify"      // a pack that came is read
	PackSync        Point = "pack.sync"        // it is made durable
	PackRename      Point = "pack.rename"      // it gets its name
	PackSyncDir     Point = "pack.syncdir"     // and its name is made durable
	PackHold        Point = "pack.hold"        // packs are kept for a job that is still to come
	PackCheck       Point = "pack.check"       // a snapshot is looked at for what is missing
	SpecDir         Point = "spec.dir"         // the job's directory is made
	SpecWrite       Point = "spec.write"       // the copy of the job's document is written
	AcceptCommit    Point = "accept.commit"    // the job is made durable
	SpecRename      Point = "spec.rename"      // and that document gets its name, which says so
	AcceptAnswer    Point = "accept.answer"    // its client is told
	StartCommit     Point = "start.commit"     // a queued job is recorded as started
	LaunchPrepare   Point = "launch.prepare"   // what a supervisor is told is gathered
	LaunchStart     Point = "launch.start"     // a supervisor is forked
	LaunchReady     Point = "launch.ready"     // its word is awaited
	FollowDial      Point = "follow.dial"      // the daemon connects to a supervisor
	FollowGreet     Point = "follow.greet"     // and hears who it is
	EndRead         Point = "end.read"         // the manifest of an ended job is read
	EndCommit       Point = "end.commit"       // the end is recorded
	LoseKill        Point = "lose.kill"        // what is left of a lost job is ended
	LoseRecord      Point = "lose.record"      // its manifest is written
	CancelRecord    Point = "cancel.record"    // the manifest of a job that never ran is written
	RequeueCommit   Point = "requeue.commit"   // a start that nothing came of is taken back
	PriorityCommit  Point = "priority.commit"  // a job is moved in the queue
	DrainCommit     Point = "drain.commit"     // draining is recorded
	RemoveCommit    Point = "remove.commit"    // a job is forgotten
	RemovePack      Point = "remove.pack"      // a pack that nothing names is deleted
	RemoveAside     Point = "remove.aside"     // a job's directory is moved out of sight
	RemoveTree      Point = "remove.tree"      // and deleted
	PinMark         Point = "pin.mark"         // a pin is noted in the job's directory
	PinCommit       Point = "pin.commit"       // pins are recorded
	SweepCommit     Point = "sweep.commit"     // packs that nothing names are forgotten
	CompactMerge    Point = "compact.merge"    // many packs are copied into one
	CompactCommit   Point = "compact.commit"   // a snapshot draws on that one
	RecoverSweep    Point = "recover.sweep"    // files that the store does not know are deleted
	RecoverRead     Point = "recover.read"     // the queue is read
	RecoverFollow   Point = "recover.follow"   // a job that an earlier daemon started is followed
	RecoverLeftover Point = "recover.leftover" // what killed supervisors left is removed
	SchemaCommit    Point = "schema.commit"    // the database is brought to this version
	CheckAside      Point = "check.aside"      // a damaged file is set aside
	CheckIndex      Point = "check.index"      // a log's index is made again
	CheckRecord     Point = "check.record"     // a job's record is written again
	CheckCommit     Point = "check.commit"     // and its digest recorded
)

// The steps of a supervisor.
const (
	SuperviseRead    Point = "supervise.read"    // it reads what to run
	SuperviseClaim   Point = "supervise.claim"   // it takes the start of the job
	SuperviseReserve Point = "supervise.reserve" // room for the manifest is taken
	JobSyncDir       Point = "job.syncdir"       // the names of the directory and of what is in it are made durable
	SuperviseListen  Point = "supervise.listen"  // the control socket is made
	SuperviseReady   Point = "supervise.ready"   // it says so
	LogCreate        Point = "log.create"        // the log is made
	LogIndex         Point = "log.index"         // a record of the log's index is written
	LogWrite         Point = "log.write"         // and the bytes that it describes
	LogSync          Point = "log.sync"          // the log is made durable
	ApplyJournal     Point = "apply.journal"     // the workspace's journal is written
	ApplyStage       Point = "apply.stage"       // its staging directory is made
	ApplyClear       Point = "apply.clear"       // what is in the way is cleared
	ApplyDir         Point = "apply.dir"         // a directory is made
	ApplyWrite       Point = "apply.write"       // a file is written
	ApplyRename      Point = "apply.rename"      // and takes the place of another
	ApplyIndex       Point = "apply.index"       // what is there now is recorded
	TmpMake          Point = "tmp.make"          // the job's TMPDIR is made
	TmpRemove        Point = "tmp.remove"        // and removed
	StepStart        Point = "step.start"        // the tool is started
	StepSweep        Point = "step.sweep"        // what a job left running is ended
	CollectWalk      Point = "collect.walk"      // outputs are looked for
	CollectCopy      Point = "collect.copy"      // an output is copied
	CollectSync      Point = "collect.sync"      // the copies are made durable
	ManifestWrite    Point = "manifest.write"    // the manifest is written
	ManifestSync     Point = "manifest.sync"     // and made durable
	ManifestRename   Point = "manifest.rename"   // it gets its name: the job has ended
	ManifestSyncDir  Point = "manifest.syncdir"  // and its name is made durable
	ControlClose     Point = "control.close"     // the control socket goes
)

// Points lists every step of each role.
func Points() map[string][]Point {
	return map[string][]Point{
		"client": {
			ClientIndex, ClientJournal, ClientUpload, ClientSubmit, ClientAnswer, ClientMemory, ClientFrame,
			ClientArtifact, ClientPlace, ClientPlaced, ClientFetched,
		},
		"link": {LinkListen, LinkDial, LinkChannel},
		"daemon": {
			DaemonLock, DaemonID, DaemonStore, DaemonListen, SalvageKeep, SalvageTake, SalvageDrop, SalvageRename,
			RebuildCommit, RebuildInputs, StoreBegin, StoreCommit, SubmitReceive, SpoolCreate, SpoolWrite,
			PackVerify, PackSync, PackRename, PackSyncDir, PackHold, PackCheck, SpecDir, SpecWrite, AcceptCommit, SpecRename, AcceptAnswer,
			StartCommit, LaunchPrepare, LaunchStart, LaunchReady, FollowDial, FollowGreet, EndRead, EndCommit, LoseKill,
			LoseRecord, CancelRecord, RequeueCommit, PriorityCommit, DrainCommit, RemoveCommit, RemovePack, RemoveAside,
			RemoveTree, PinMark, PinCommit, SweepCommit, CompactMerge, CompactCommit, RecoverSweep, RecoverRead, RecoverFollow, RecoverLeftover,
			SchemaCommit, CheckAside, CheckIndex, CheckRecord, CheckCommit,
		},
		"supervisor": {
			SuperviseRead, SuperviseClaim, SuperviseReserve, JobSyncDir, SuperviseListen, SuperviseReady, LogCreate, LogIndex, LogWrite, LogSync,
			ApplyJournal, ApplyStage, ApplyClear, ApplyDir, ApplyWrite, ApplyRename, ApplyIndex, TmpMake, TmpRemove, StepStart,
			StepSweep, CollectWalk, CollectCopy, CollectSync, ManifestWrite, ManifestSync, ManifestRename, ManifestSyncDir,
			ControlClose,
		},
	}
}
