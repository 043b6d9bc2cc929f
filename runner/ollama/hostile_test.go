package ollama

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"llmscale/internal/address"
	"llmscale/runner/protocol"
	"llmscale/runner/record"
)

// hang keeps a connection open until its client is gone.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func says(code int, kind, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(code)
		fmt.Fprint(w, text)
	}
}

// drop ends the connection in the middle of an answer, as a dying server does.
func drop(before string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, before)
		w.(http.Flusher).Flush()
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		conn.Close()
	}
}

// endless repeats text for as long as somebody reads it, and counts.
func endless(code int, text string, sent *atomic.Int64) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		for {
			n, err := w.Write([]byte(text))
			sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	}
}

// drip sends a byte now and then, which keeps an idle timer from firing.
func drip(w http.ResponseWriter, r *http.Request) {
	for r.Context().Err() == nil {
		fmt.Fprint(w, " ")
		w.(http.Flusher).Flush()
		time.Sleep(20 * time.Millisecond)
	}
}

const html = "<!DOCTYPE html>\n<html><body>It works!</body></html>"

const chunk = `{"model":"m","response":" word","done":false}` + "\n"

// Every misbehaviour meets a call that asks, one that streams tokens, and a whole
// load. What the outcome is called must not depend on which it meets first.
func TestMisbehavingServer(t *testing.T) {
	var sent atomic.Int64
	big := strings.Repeat("x", 32<<10)
	for _, c := range []struct {
		name    string
		handler http.HandlerFunc
		status  string
		reason  string // part of it
		stream  string // part of it for a stream of tokens, "" if equal
	}{
		{name: "nothing at all", handler: hang, status: record.StatusTimeout, reason: "no whole answer within"},
		{name: "a byte now and then", handler: drip, status: record.StatusTimeout, reason: "no whole answer within"},
		{name: "silence after the head", handler: func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "{"); w.(http.Flusher).Flush(); hang(w, r) }, status: record.StatusTimeout, reason: "fell silent for 250ms"},
		{name: "500 in JSON", handler: says(500, "application/json", `{"error":"llama runner process has terminated"}`), status: record.StatusError, reason: "the server says: llama runner process has terminated (HTTP status 500)"},
		{name: "500 in text", handler: says(500, "text/plain", "\n\ninternal error\nstack\n"), status: record.StatusError, reason: `HTTP status 500: "internal error"`},
		{name: "500 without a body", handler: says(500, "text/plain", ""), status: record.StatusError, reason: "HTTP status 500 and nothing else"},
		{name: "502 of a proxy", handler: says(502, "text/html", html), status: record.StatusError, reason: `HTTP status 502 and a web page ("<!DOCTYPE html>")`},
		{name: "a wrong path", handler: http.NotFound, status: record.StatusError, reason: `HTTP status 404: "404 page not found"`},
		{name: "no memory", handler: says(500, "application/json", `{"error":"model requires more system memory (9 GiB) than is available (1 GiB)"}`), status: record.StatusOOM, reason: "more system memory"},
		{name: "HTML", handler: says(200, "text/html", html), status: record.StatusError, reason: `a web page ("<!DOCTYPE html>"): is it an Ollama server?`},
		{name: "garbage", handler: says(200, "application/json", "\x00\x01\xfe garbage"), status: record.StatusError, reason: "not Ollama's JSON"},
		{name: "JSON of another shape", handler: says(200, "application/json", `[1,2,3]`+"\n"), status: record.StatusError, reason: `not Ollama's JSON ("[1,2,3]")`},
		{name: "truncated JSON", handler: says(200, "application/json", `{"version":"0.2`), status: record.StatusError, reason: `not Ollama's JSON`},
		{name: "empty", handler: says(200, "application/json", ""), status: record.StatusError, reason: "answered with nothing", stream: "without a final message"},
		{name: "redirect", handler: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://other.invalid/x", http.StatusFound)
		}, status: record.StatusError, reason: "redirects to http://other.invalid/x, which is not followed"},
		{name: "permanent redirect", handler: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusPermanentRedirect)
		}, status: record.StatusError, reason: "/elsewhere, which is not followed"},
		{name: "304", handler: says(304, "application/json", ""), status: record.StatusError, reason: "HTTP status 304"},
		{name: "death in the head", handler: func(w http.ResponseWriter, _ *http.Request) { c, _, _ := w.(http.Hijacker).Hijack(); c.Close() }, status: record.StatusError, reason: "ended the connection before it answered"},
		{name: "death in the body", handler: drop(`{"version":`), status: record.StatusError, reason: "ended the connection in the middle"},
		{name: "bytes without end", handler: endless(200, big, &sent), status: record.StatusError, reason: "longer than 1048576 bytes", stream: "without the end of a line"},
		{name: "an error without end", handler: endless(500, big, &sent), status: record.StatusError, reason: `HTTP status 500: "xxxx`},
		{name: "lines without end", handler: endless(200, chunk, &sent), status: record.StatusError, reason: "longer than 1048576 bytes", stream: "with 6 pieces of text, more than the 5 tokens"},
		{name: "blank lines without end", handler: endless(200, "{}\n", &sent), status: record.StatusError, reason: "longer than 1048576 bytes", stream: "with 0 pieces of text, more than the 5 tokens"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(c.handler)
			defer srv.Close()
			limits := short
			if c.status != record.StatusTimeout { // what must be found out however slow this machine is
				limits.Idle, limits.Small, limits.Load, limits.Call = time.Minute, time.Minute, time.Minute, time.Minute
			}
			client, err := NewClient(srv.URL, limits)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			_, err = client.Version(context.Background())
			expect(t, "version", err, c.status, c.reason)

			reason := c.reason
			if c.stream != "" {
				reason = c.stream
			}
			f, url := newFake(t)
			f.generate = c.handler
			b := New(Options{Limits: limits})
			defer b.Close()
			if _, err := b.Load(at(url, "m"), nil); err != nil {
				t.Fatal(err)
			}
			hello := "hello"
			_, err = b.Measure(protocol.CallSpec{Prompt: &hello, GenTokens: 4})
			expect(t, "measure", err, c.status, reason)

			b = New(Options{Limits: limits})
			_, err = b.Load(at(srv.URL, "m"), nil)
			expect(t, "load", err, c.status, c.reason)
			if err := b.Close(); err != nil {
				t.Errorf("close after a failed load: %v", err)
			}
		})
	}
	t.Cleanup(func() {
		// Three calls of four kinds; what was sent beyond the limits lies in buffers of
		// the two sockets.
		if got := sent.Load(); got == 0 || got > 12*(16<<20) {
			t.Errorf("endless answers were read for %d bytes", got)
		}
	})
}

func expect(t *testing.T, what string, err error, status, reason string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error; want %s: %s", what, status, reason)
		return
	}
	var e *Error
	var f *record.Failure
	got := ""
	switch {
	case errors.As(err, &e):
		got = e.Status
	case errors.As(err, &f):
		got = f.Status
	}
	if got != status || !strings.Contains(err.Error(), reason) {
		t.Errorf("%s: %q (%s); want %q (%s)", what, err, got, reason, status)
	}
	if strings.Contains(err.Error(), "\n") || len(err.Error()) > 600 {
		t.Errorf("%s: %q is no sentence", what, err)
	}
}

// Streams that begin well and end badly.
func TestStreamEndsBadly(t *testing.T) {
	many := strings.Repeat(chunk, 3)
	final := `{"model":"m","response":"","done":true,"done_reason":"length","total_duration":9,"prompt_eval_count":1,"prompt_eval_duration":5,"eval_count":5,"eval_duration":4}` + "\n"
	for _, c := range []struct {
		name    string
		handler http.HandlerFunc
		status  string // "": it must succeed
		reason  string
	}{
		{"the server dies", drop(many), record.StatusError, "ended the connection in the middle"},
		{"an error line", says(200, "application/x-ndjson", many+`{"error":"an error was encountered while running the model: CUDA error"}`+"\n"), record.StatusError, "the server says: an error was encountered while running the model: CUDA error"},
		{"an error line late", says(200, "application/x-ndjson", strings.Repeat(`{"model":"m","response":"","done":false,"created_at":"2026-01-01T00:00:00Z"}`+"\n", 60)+`{"error":"broken"}`+"\n"), record.StatusError, "the server says: broken"},
		{"garbage", says(200, "application/x-ndjson", many+"<<<\n"), record.StatusError, "not Ollama's JSON"},
		{"half a line", says(200, "application/x-ndjson", many+`{"model":"m","resp`), record.StatusError, "not Ollama's JSON"},
		{"no final message", says(200, "application/x-ndjson", many), record.StatusError, "after 3 pieces without a final message"},
		{"no counters", says(200, "application/x-ndjson", many+`{"done":true}`+"\n"), record.StatusError, "counts 0 tokens"},
		{"too many tokens", says(200, "application/x-ndjson", `{"done":true,"eval_count":6,"prompt_eval_count":1,"prompt_eval_duration":1}`+"\n"), record.StatusError, "sampled 6 tokens, 5 were asked for"},
		{"negative times", says(200, "application/x-ndjson", `{"done":true,"eval_count":5,"prompt_eval_count":1,"prompt_eval_duration":-1}`+"\n"), record.StatusError, "negative"},
		{"silence", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, many)
			w.(http.Flusher).Flush()
			hang(w, r)
		}, record.StatusTimeout, "fell silent"},
		{"silence after the end", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, many+final)
			w.(http.Flusher).Flush()
			hang(w, r)
		}, "", ""},
		{"death after the end", drop(many + final), "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			f, url := newFake(t)
			f.generate = c.handler
			b := load(t, url, setup{})
			hello := "hello"
			s, err := b.Measure(protocol.CallSpec{Prompt: &hello, GenTokens: 4})
			if c.status == "" {
				if err != nil || s.PrefillMS == nil || *s.PrefillMS != 5e-6 {
					t.Errorf("%+v, %v; want the figures of the final message", s, err)
				}
			} else {
				expect(t, "measure", err, c.status, c.reason)
			}
			if took := time.Since(start); took > patience {
				t.Errorf("took %s", took)
			}
			// The backend is not spoilt: the sweep goes on.
			f.generate = nil
			again := "again"
			if _, err := b.Measure(protocol.CallSpec{Prompt: &again, GenTokens: 4}); err != nil {
				t.Errorf("the next call: %v", err)
			}
		})
	}
}

func TestNoServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := "http://" + l.Addr().String()
	l.Close()
	_, _, err = Serve(context.Background(), protocol.OllamaSpec{URL: address.Address(addr), Model: "m"}, "")
	expect(t, "serve", err, record.StatusWaived, "no Ollama server at "+addr)
	expect(t, "serve", err, record.StatusWaived, "ollama serve")
	// A worker asks a server that was there when its job began.
	_, err = New(setup{}.options()).Load(at(addr, "m"), nil)
	expect(t, "load", err, record.StatusError, "the server is gone: no Ollama server at "+addr)

	// A name that does not resolve: reserved for that by RFC 2606.
	_, _, err = Serve(context.Background(), protocol.OllamaSpec{URL: "http://server.invalid", Model: "m"}, "")
	expect(t, "serve", err, record.StatusWaived, "no Ollama server at http://server.invalid")
}

func TestWrongAddress(t *testing.T) {
	for _, address := range []string{"127.0.0.1:11434", "ftp://127.0.0.1", "http://", ":", "http://a b/", "localhost", "https://ollama.com", "https://api.ollama.com/x"} {
		if _, err := NewClient(address, Limits{}); err == nil || !strings.Contains(err.Error(), "want one like http://127.0.0.1:11434") {
			t.Errorf("%q: %v; want an error that shows a good address", address, err)
		}
	}
	if c, err := NewClient("", Limits{}); err != nil || c.URL() == "" {
		t.Errorf("no address: %v; want Ollama's default", err)
	}
}

func TestDefaultsBoundEverything(t *testing.T) {
	l := Limits{}.filled()
	if l.Connect <= 0 || l.Idle <= 0 || l.Small <= 0 || l.Load <= 0 || l.Call <= 0 || l.Transfer <= 0 || l.MaxBytes <= 0 || l.MaxLine <= 0 {
		t.Errorf("%+v: a limit is missing", l)
	}
	if l := (Limits{MaxLine: 1 << 30}).filled(); l.MaxLine >= 8_000_000 {
		t.Errorf("lines of %d bytes are let through to a client that takes 8 MB for the end", l.MaxLine)
	}
}

// Answers without end must not grow the process.
func TestMemoryIsBounded(t *testing.T) {
	for name, text := range map[string]string{"bytes": strings.Repeat("x", 64<<10), "lines": chunk} {
		t.Run(name, func(t *testing.T) {
			var sent atomic.Int64
			f, url := newFake(t)
			f.generate = endless(200, text, &sent)
			b := load(t, url, setup{})
			hello := "hello"
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range 5 {
				if _, err := b.Measure(protocol.CallSpec{Prompt: &hello, GenTokens: 4}); err == nil {
					t.Fatal("no error")
				}
			}
			runtime.ReadMemStats(&after)
			// The API client takes 8 MB for its line buffer in every call.
			if got := after.TotalAlloc - before.TotalAlloc; got > 5*(16<<20) {
				t.Errorf("%d bytes were allocated in 5 calls", got)
			}
			if sent.Load() == 0 {
				t.Error("the server sent nothing")
			}
		})
	}
}
