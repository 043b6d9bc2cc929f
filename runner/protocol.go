package runner

// workerFD is the worker's reply pipe: the first of exec.Cmd.ExtraFiles.
const workerFD = 3
