// Listens to the hub that the page's query names, and shows what it hears.
import { connect } from 'fanfare-client';

const hub = new URLSearchParams(location.search).get('hub');
const events = connect(hub, { topics: 't', shared: true });
events.on('fanfare.state', ({ name }) => (document.title = name));
events.on(({ data }) => document.body.append(data, '\n'));
