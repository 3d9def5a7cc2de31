// S₂ = argmin ‖U S Vᴴ − τ₂‖_F + λ ΣS over S ≥ 0, from d = diag(Uᴴ τ₂ V) and ‖τ₂‖_F alone.
#pragma once

#include <cstdint>

namespace taskvec {

enum class Method : int { exact, adam };
enum class Norm : int { frobenius, squared };            // ‖·‖_F or ‖·‖_F² in the objective
enum class Positive : int { clip, softplus, exp, abs };  // S ← max(0, S), or made of an x: log(1 + eˣ), eˣ, |x|
enum class Start : int { closed_form, zeros, normal };

struct Solver {
  Method method = Method::exact;
  Norm norm = Norm::frobenius;
  Positive positive = Positive::clip;  // of adam, as all that follows: how S stays ≥ 0
  // start, what is made of x, learning rate and tolerance are in units of ‖τ₂‖ when `relative`
  Start start = Start::closed_form;
  bool relative = true, decay = true;  // the learning rate falls linearly to 0 over the steps
  std::int64_t steps = 0;
  double lr = 0, tol = 0, beta1 = 0, beta2 = 0, eps = 0;  // tol 0: no pair stops before the last step
};

// All of double when f64, else of float, but for λ.
struct SparsifyArgs {
  bool f64;
  std::int64_t batch, k;
  Solver solver;
  const void* d;             // [batch, k], not clipped
  const void* tau_norm;      // [batch]
  const double* lam;         // [batch]
  const std::int64_t* seed;  // [batch], of the start "normal"; or null
  void* s;                   // [batch, k]
  void* objective;           // [batch], or null with the next two
  std::int64_t* steps;       // [batch]
  bool* converged;           // [batch]
  bool check = false;
  double slack = 0;
};

// Solves every pair. False when `check` finds one whose λ is no weight or whose ‖d‖² (1 − slack) is above ‖τ₂‖².
// Throws std::bad_alloc.
bool sparsify(const SparsifyArgs& args, int threads);

}  // namespace taskvec
