// The form of the report: decides in the browser as workflow/mlipshift/mitigate/decision.py does, which a test compares.
(function () {
  var form = document.getElementById("choice-form");
  if (!form) return;
  var given = JSON.parse(document.getElementById("choice-data").textContent), methods = given.methods;
  var output = document.getElementById("choice-answer"), body = document.getElementById("choice-rows");

  function cost(m, n, prior) {
    return (m.adaptation_seconds + m.adaptation_calls * prior) / n + m.seconds + m.prior_calls * prior;
  }
  // methods that no other beats in both error and cost, cheapest first
  function frontier(n, prior) {
    var known = methods.filter(function (m) { return m.error !== null; });
    known.sort(function (a, b) { return cost(a, n, prior) - cost(b, n, prior) || a.error - b.error; });
    return known.reduce(function (line, m) {
      if (!line.length || m.error < line[line.length - 1].error) line.push(m);
      return line;
    }, []);
  }
  // the cheapest method that is good enough, else the most accurate one within the allowed time
  function choose(n, prior, tolerance, budget) {
    var line = frontier(n, prior).filter(function (m) { return budget === null || cost(m, n, prior) <= budget; });
    var good = line.filter(function (m) { return tolerance !== null && m.error <= tolerance; });
    return good[0] || line[line.length - 1] || null;
  }
  // predictions per adaptation from which an adapted method is cheaper than a direct one
  function breakeven(adapted, direct, prior) {
    var once = function (m) { return m.adaptation_seconds + m.adaptation_calls * prior; };
    var gain = cost(direct, Infinity, prior) - cost(adapted, Infinity, prior), more = once(adapted) - once(direct);
    return more <= 0 ? 1 : gain > 0 ? Math.max(1, more / gain) : Infinity;
  }

  function duration(s) {
    if (s < 90) return String(Number(s.toPrecision(2))) + " s";
    return s < 5400 ? Math.round(s / 60) + " min" : (s / 3600).toLocaleString("en", {maximumFractionDigits: 1}) + " h";
  }
  function entered(name) {
    var field = form.elements[name];
    if (field.value.trim() === "" && !field.validity.badInput) return null;
    return field.valueAsNumber;
  }
  function number(x) { return x.toLocaleString("en", {minimumFractionDigits: 1, maximumFractionDigits: 1}); }

  function verdict(m, chosen, n, prior, budget, line) {
    if (m === chosen) return "the choice";
    if (m.error === null) return "error not measured";
    if (line.indexOf(m) < 0) {
      var better = line.filter(function (b) { return b.error <= m.error && cost(b, n, prior) <= cost(m, n, prior); });
      return better[0].title + " is no dearer and as good or better";
    }
    if (budget !== null && cost(m, n, prior) > budget) return "takes longer than allowed";
    var cheaper = chosen && cost(m, n, prior) < cost(chosen, n, prior);
    return cheaper ? "cheaper, less accurate" : "more accurate than asked for, dearer";
  }
  function row(m, chosen, n, prior, budget, line) {
    var tr = document.createElement("tr"), each = cost(m, n, prior);
    if (m === chosen) tr.className = "chosen";
    var texts = [m.title, m.error === null ? "–" : number(m.error), m.interval, duration(each), duration(each * n),
      verdict(m, chosen, n, prior, budget, line)];
    texts.forEach(function (text, k) {
      var cell = document.createElement(k ? "td" : "th");
      if (!k) {
        cell.scope = "row";
        var dot = document.createElement("span");
        dot.className = "dot";
        dot.style.background = m.colour;
        cell.appendChild(dot);
      } else if (k < 5) cell.className = "n";
      cell.appendChild(document.createTextNode(text));
      tr.appendChild(cell);
    });
    return tr;
  }
  function say(text, data) {
    output.textContent = text;
    ["choice", "error", "seconds", "breakeven"].forEach(function (key) { delete output.dataset[key]; });
    Object.keys(data || {}).forEach(function (key) { output.dataset[key] = data[key]; });
  }
  // from when the most accurate adaptation is cheaper than the most accurate method without one, and at what error
  function paying(prior) {
    var best = function (adapts) {
      return methods.filter(function (m) {
        return m.error !== null && (m.adaptation_calls + m.adaptation_seconds > 0) === adapts;
      }).sort(function (a, b) { return a.error - b.error; })[0];
    };
    var adapted = best(true), direct = best(false);
    if (!adapted || !direct) return {text: "", from: null};
    var from = breakeven(adapted, direct, prior), more = adapted.error - direct.error;
    var text = isFinite(from) ? " is cheaper than " + direct.title + " from " + Math.ceil(from).toLocaleString("en")
      + " predictions on, " : " is at no number of predictions cheaper than " + direct.title + ", ";
    text += more > 0 ? "at " + number(more) + " meV/Å more." : "with " + number(-more) + " meV/Å less.";
    return {text: " Adapted once, " + adapted.title + text, from: from};
  }
  function answer() {
    var n = entered("predictions"), prior = entered("prior_seconds");
    var budget = entered("budget"), tolerance = entered("tolerance");
    body.textContent = "";
    if (n === null || !(n >= 1)) return say("Give 1 or more predictions per adaptation.");
    if (prior === null || !(prior >= 0)) return say("Give the seconds of a prior call, 0 or more.");
    if (isNaN(budget) || isNaN(tolerance)) return say("Give numbers, or leave the last two fields empty.");
    var line = frontier(n, prior), chosen = choose(n, prior, tolerance, budget), pays = paying(prior);
    if (chosen) {
      var each = cost(chosen, n, prior);
      say(chosen.title + ": " + number(chosen.error) + " meV/Å " + chosen.interval + ", " + duration(each)
        + " per prediction, " + duration(each * n) + " for all of them." + pays.text,
        {choice: chosen.name, error: chosen.error, seconds: each, breakeven: pays.from});
    } else say("No method is that cheap." + pays.text, {choice: "", breakeven: pays.from});
    methods.slice().sort(function (a, b) { return cost(a, n, prior) - cost(b, n, prior); }).forEach(function (m) {
      body.appendChild(row(m, chosen, n, prior, budget, line));
    });
  }

  form.hidden = false;
  // the tables of all answers stand open for those without scripts
  document.querySelectorAll("#choose details").forEach(function (d) { d.open = false; });
  form.addEventListener("input", answer);
  form.addEventListener("submit", function (event) { event.preventDefault(); });
  form.addEventListener("reset", function () { setTimeout(answer); });
  answer();
})();
