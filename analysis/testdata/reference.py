"""Second implementation for the golden tests: numpy and scipy on the tables of
the TR121 report. Writes reference.json, which the Go tests compare with.

    python3 -m venv /tmp/v && /tmp/v/bin/pip install numpy scipy
    /tmp/v/bin/python reference.py > reference.json
"""
import itertools, json, sys
import numpy as np
import scipy
from scipy import stats
from scipy.optimize import least_squares

from reference_tables import HF, LAYERS, WIDTH, SERIES


def loglog(x, y):
    lx, ly = np.log10(x), np.log10(y)
    r = stats.linregress(lx, ly)
    t = stats.t.ppf(.975, len(x) - 2)
    ts = stats.theilslopes(ly, lx, .95)
    sp = stats.spearmanr(lx, ly)
    exact = stats.permutation_test((lx,), lambda v: stats.spearmanr(v, ly).statistic,
                                   permutation_type="pairings", n_resamples=np.inf).pvalue
    out = dict(intercept=r.intercept, slope=r.slope, r2=r.rvalue**2, slope_se=r.stderr,
               intercept_se=r.intercept_stderr, t_low=r.slope - t * r.stderr, t_high=r.slope + t * r.stderr,
               theilsen=ts.slope, theilsen_intercept=ts.intercept, theilsen_low=ts.low_slope,
               theilsen_high=ts.high_slope, rho=sp.statistic, p=sp.pvalue, p_exact=exact)
    out["leave_one_out"] = [[l.slope, l.rvalue**2] for l in
                            (stats.linregress(np.delete(lx, i), np.delete(ly, i)) for i in range(len(x)))]
    return out


def offset(x, y):
    x, y = np.array(x), np.array(y)
    r = stats.linregress(x, y)
    best = None
    for s0 in np.linspace(0, 2, 41):  # several starts: the error has several minima
        for a0, b0 in ((y.min(), 0), (0, y.max() / x.max()), (y.mean() / 2, 1)):
            f = least_squares(lambda q: q[0] + q[1] * x**q[2] - y, [max(a0, 1e-6), max(b0, 1e-6), min(max(s0, 1e-6), 2 - 1e-6)],
                              bounds=([0, 0, 0], [np.inf, np.inf, 2]), xtol=1e-14, ftol=1e-14, gtol=1e-14, max_nfev=4000)
            if best is None or f.cost < best.cost:
                best = f
    return dict(a=r.intercept, b=r.slope, r2=r.rvalue**2,
                bounded_sse=2 * best.cost, bounded=list(best.x))


def plane(x, layers, y):
    d = np.column_stack([np.ones(len(x)), np.log(x), np.log(layers)])
    ly = np.log(y)
    c = np.linalg.lstsq(d, ly, rcond=None)[0]
    e = ly - d @ c
    return dict(alpha=c[0], beta=c[1], gamma=c[2], r2=1 - e @ e / ((ly - ly.mean())**2).sum())


def exact_bootstrap(x, y):
    lx, ly = np.log10(x), np.log10(y)
    slopes, bad = [], 0
    for pick in itertools.product(range(len(x)), repeat=len(x)):
        pick = list(pick)
        if len(set(lx[pick])) < 2:
            bad += 1
            continue
        slopes.append(np.polyfit(lx[pick], ly[pick], 1)[0])
    lo, hi = np.percentile(slopes, [2.5, 97.5])
    return dict(low=lo, high=hi, degenerate=bad, n=len(slopes) + bad)


out = {"numpy": np.__version__, "scipy": scipy.__version__, "series": {}}
for name, (x, y) in SERIES.items():
    s = dict(x=x, y=y, loglog=loglog(x, y), offset=offset(x, y))
    if x is HF:
        s["plane"] = plane(x, LAYERS, y)
        s["rho_layers"] = list(stats.spearmanr(LAYERS, y))
        s["rho_width"] = list(stats.spearmanr(WIDTH, y))
    out["series"][name] = s
out["exact_bootstrap_ollama_kv"] = exact_bootstrap(*SERIES["ollama kv_decode"])

# The draws of numpy's default generator at seed 42, which the study used: with
# them its bootstrap intervals come out exactly.
out["draws_seed42"] = {str(n): ["".join(map(str, d)) for d in np.random.default_rng(42).integers(0, n, (1000, n))] for n in (5, 7)}

# ties in x and in y: scipy's handling of them
tx, ty = [1, 2, 2, 3, 4, 4, 5, 6.5], [2, 1, 3, 3, 5, 4, 4, 7]
ts, sp = stats.theilslopes(ty, tx, .95), stats.spearmanr(tx, ty)
out["ties"] = dict(x=tx, y=ty, theilsen=ts.slope, theilsen_intercept=ts.intercept, theilsen_low=ts.low_slope,
                   theilsen_high=ts.high_slope, rho=sp.statistic, p=sp.pvalue)
out["quantiles"] = dict(x=[3, 1, 4, 1, 5, 9, 2, 6, 5, 3], q={str(p): float(np.quantile([3, 1, 4, 1, 5, 9, 2, 6, 5, 3], p))
                                                             for p in (0, .1, .5, .9, .95, 1)})
json.dump(out, sys.stdout, indent=1, default=float)
print()
