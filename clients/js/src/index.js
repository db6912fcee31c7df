export { connect } from './events.js';
export { publish } from './publish.js';
export { FanfareError } from './error.js';
