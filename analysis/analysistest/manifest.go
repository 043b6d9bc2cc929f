package analysistest

import (
	"encoding/json"

	"llmscale/analysis/runs"
)

func manifest(s Shape) runs.Manifest {
	doc := map[string]any{
		"run_id": "20260101_120000", "run_name": "made-up", "argv": []string{"bin/llmscale", "sweep", "--config", "configs/made up.yaml"},
		"config_path": "configs/made up.yaml", "config_sha256": "6f1ed002ab5595859014ebf0951522d9", "git_head": "0123456789abcdef", "seed": "42",
		"repetitions": s.Reps, "warmup_repetitions": 1, "gen_tokens": s.GenTokens, "task_count": len(s.Models) * len(s.Backends) * len(s.Scenarios),
		"records_expected": len(s.Models) * len(s.Backends) * len(s.Scenarios) * s.Reps * 3, "run_state": "completed",
		"platform": map[string]any{"os": "linux", "machine": "amd64", "processor": "Made-up CPU @ 2.0 GHz", "go": "go1.26.0"},
		"environment": map[string]any{"os": "linux", "kernel": "6.1.0", "arch": "amd64", "cpu": "Made-up CPU @ 2.0 GHz", "logical_cores": 2, "physical_cores": 1,
			"memory_bytes": int64(8 << 30), "l3_cache_bytes": 33 << 20, "cpu_governor": "", "openmp_variables": map[string]string{}},
		"llmscale": map[string]any{"llama_commit": "ec98e2002", "llama_source": "module", "compiler": "GNU 12.2.0", "build_type": "Release", "flags": "-O3 -DNDEBUG -march=native",
			"system_info": "AVX2 = 1 | AVX512 = 1", "portable": false},
		"sessions": []any{map[string]any{"started_at_unix": 1767268800.5, "ended_at_unix": 1767269100.0, "load_average_1m": 0.1}},
	}
	var backends, scenarios []map[string]string
	for _, b := range s.Backends {
		backends = append(backends, map[string]string{"name": b.Name})
	}
	for _, sc := range s.Scenarios {
		scenarios = append(scenarios, map[string]string{"name": sc.Name})
	}
	doc["resolved"] = map[string]any{"backends": backends, "scenarios": scenarios} // their order
	data, err := json.Marshal(doc)
	if err != nil {
		panic(err) // the map above is JSON
	}
	m, err := runs.ParseManifest(data)
	if err != nil {
		panic(err)
	}
	return m
}
