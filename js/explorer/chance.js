// What noise alone would do: what nodes/maths/method/reliability.py asks scipy for.

/**
 * ln Gamma(x) by Lanczos (g = 7, n = 9), to 15 digits.
 * @param {number} x
 * @returns {number}
 */
export function logGamma(x) {
    const terms = [
        0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059, 12.507343278686905,
        -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
    ]
    if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x)
    const t = x + 6.5
    const sum = terms.reduce((total, term, i) => (i ? total + term / (x - 1 + i) : term), 0)
    return 0.5 * Math.log(2 * Math.PI) + (x - 0.5) * Math.log(t) - t + Math.log(sum)
}

/**
 * The regularised incomplete beta function I_x(a, b), by its continued fraction (Lentz).
 * @param {number} x
 * @param {number} a
 * @param {number} b
 * @returns {number}
 */
export function incompleteBeta(x, a, b) {
    if (x <= 0) return 0
    if (x >= 1) return 1
    if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a)
    const tiny = 1e-300
    const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x)) / a
    let c = 1, d = 1 / Math.max(tiny, 1 - ((a + b) * x) / (a + 1)), fraction = d
    for (let m = 1; m < 500; m++) {
        const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m))
        const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1))
        let change = 1
        for (const term of [even, odd]) {
            d = 1 / (1 + term * d || tiny)
            c = 1 + term / c || tiny
            change = c * d
            fraction *= change
        }
        if (Math.abs(change - 1) < 1e-14) break
    }
    return front * fraction
}

/**
 * P(|t| > value) for Student's t with these degrees of freedom.
 * @param {number} value
 * @param {number} degrees
 */
export function tailOfT(value, degrees) {
    return incompleteBeta(degrees / (degrees + value ** 2), degrees / 2, 1 / 2)
}

/**
 * The smallest k with P(X <= k) >= share, for X binomial.
 * @param {number} share
 * @param {number} trials
 * @param {number} chance
 */
export function binomialQuantile(share, trials, chance) {
    if (chance <= 0) return 0
    if (chance >= 1) return trials
    let log = trials * Math.log1p(-chance), reached = Math.exp(log), k = 0
    while (reached < share && k < trials) {
        log += Math.log((trials - k) / (k + 1)) + Math.log(chance) - Math.log1p(-chance)
        k += 1
        reached += Math.exp(log)
    }
    return k
}
