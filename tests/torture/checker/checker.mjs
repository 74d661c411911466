/* Judges the history of a run (its events are described in history.mjs): C1 to C11 of the promises, in one pass or one sort each, since
 * offsets are the order and nothing has to be searched for.
 *
 *   events        what happened
 *   final         channel → {epoch, off, entries: [{off, key, hash?}], trimmed?}: what it held in the end
 *   channels      channel → fast | safe (fast where it is not named)
 *   bounds        {recovery, trims, quiet, confirms, rss, fds, gauges}
 *
 * Returns {findings: [{rule, ch, what}], figures}. The rules are named in ../README.md. */
import { checkBounds } from './rules_bounds.mjs';
import { epochOrder, epochs, faults, publications, sightings, stretches, withDefaults } from './history.mjs';
import { measureFaults } from './measure.mjs';
import { checkDrains, checkPresence } from './rules_gateways.mjs';
import { checkAdmission, checkExpired, checkPromises, checkRevoked } from './rules_clients.mjs';
import { checkMatrix } from './rules_matrix.mjs';
import { checkOnce, checkRealTime, checkSightings } from './rules_order.mjs';
import { checkAcked, checkSteps } from './rules_subscribers.mjs';
import { checkConfirmed, checkEnd, checkEpochs, checkHealed, checkLag, checkSilence, permissions } from './rules_faults.mjs';

export function judge(history) {
  const run = withDefaults(history);
  const { events, final } = run;
  const findings = [];
  run.add = (rule, ch, what) => findings.push({ rule, ch, what });
  run.figures = { acked: 0, lostAndTold: 0, silent: { ns: 0 }, behind: { ns: 0 }, rss: 0, fds: 0 };
  run.pubs = publications(events);
  run.faults = faults(events);
  run.epochs = epochs(events);
  run.order = epochOrder(events);
  run.stretches = stretches(events);
  run.seen = sightings(events, final);
  Object.assign(run, permissions(run));
  run.figures.starved = run.isStarved ? 1 : 0;
  const timed = run.isStarved ? { ...run, add() {} } : run; // who had no processor says nothing of times
  const at = checkSightings(run);
  checkOnce(run, at);
  checkRealTime(run);
  checkSteps(run);
  checkAcked(run);
  checkEpochs(run);
  checkSilence(timed);
  checkLag(timed);
  checkHealed(timed);
  checkEnd(run);
  checkBounds(run);
  checkConfirmed(run);
  checkMatrix(run);
  checkPromises(timed);
  checkAdmission(run);
  checkRevoked(run);
  checkExpired(run);
  checkPresence(timed);
  checkDrains(timed);
  const count = (type) => events.filter((event) => event.type === type).length;
  Object.assign(run.figures, {
    failovers: run.faults.filter((fault) => fault.reigns > 0).length,
    lost: findings.filter((finding) => finding.rule === 'C3').length,
    wrongRecovered: findings.filter((finding) => finding.rule === 'C7').length,
    recovered: events.filter((event) => event.type === 'sub_ok' && event.recovered).length,
    toldLost: count('lost'),
    unknown: count('pub_unknown'),
    refused: count('pub_no'),
    received: count('recv'),
    faults: measureFaults(run),
  });
  return { findings, figures: run.figures };
}
