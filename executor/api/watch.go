package api

// News is what changed on a host since the last News. The first ones tell of every job that has
// not ended.
type News struct {
	Jobs   []JobInfo `json:"jobs,omitempty"` // as they are now, in no order
	Gone   []string  `json:"gone,omitempty"` // ids of jobs that were removed
	Status *Status   `json:"status,omitempty"`
}

// LogPage ends the answer to PathLog.
type LogPage struct {
	From int64 `json:"from"` // where the page begins in the log
	Next int64 `json:"next"` // where the next one does
	Size int64 `json:"size"` // of the log, now
}

// LogFound answers PathLogFind. It covers what could be looked at in a moment; the search goes on at Next.
type LogFound struct {
	Hits   []LogHit `json:"hits"`             // in the order of the search; a count has none
	Count  int      `json:"count,omitempty"`  // of the hits between from and Next, where a count was asked for
	Places []int64  `json:"places,omitempty"` // where the first of those are, as At
	Next   int64    `json:"next"`             // up to where was looked, backwards: down to where
	Done   bool     `json:"done"`             // the log has no more, now
	Size   int64    `json:"size"`             // of the log, now
}

// LogHit is a line of a log that a search found.
type LogHit struct {
	Offset int64  `json:"offset"`         // of the line
	At     int64  `json:"at"`             // of what was looked for
	Line   string `json:"line,omitempty"` // its beginning, for people; control characters left in
}
